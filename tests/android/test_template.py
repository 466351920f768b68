"""The committed template is what the app's sources make, byte for byte."""

from __future__ import annotations

import re
import shutil
import struct
import zipfile
from xml.etree import ElementTree

import pytest

from pocketvlad.android import template
from pocketvlad.android.apk import TEMPLATE
from pocketvlad.android.axml import read_manifest
from pocketvlad.android.dex import read_dex
from pocketvlad.errors import MissingToolError, PackageError

ANDROID = "{http://schemas.android.com/apk/res/android}"
needs_java = pytest.mark.skipif(
    not (shutil.which("mvn") and shutil.which("javac")),
    reason="no JDK and Maven: apt-get install default-jdk-headless maven",
)


@needs_java
def test_rebuilt_from_source_it_is_the_same(tmp_path):
    rebuilt = tmp_path / "template.apk"
    template.build_template(rebuilt)
    with zipfile.ZipFile(rebuilt) as new, zipfile.ZipFile(TEMPLATE) as old:
        assert new.namelist() == old.namelist()
        for name in old.namelist():
            assert new.read(name) == old.read(name), f"{name}: build_template() again"
    assert rebuilt.read_bytes() == TEMPLATE.read_bytes()


@needs_java
def test_what_does_not_compile_is_one_line(tmp_path, monkeypatch):
    sources = tmp_path / "android_demo"
    shutil.copytree(template.resource_dir("android_demo"), sources)
    (sources / "app/src/main/java/org/pocketvlad/demo/Broken.java").write_text("class Broken {")
    monkeypatch.setattr(template, "resource_dir", lambda name: sources)
    with pytest.raises(PackageError, match="java fails on the app's sources; found .*ERROR") as caught:
        template.build_template(tmp_path / "template.apk")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "template.apk").exists()


def test_it_is_small_and_of_the_version_gradle_builds():
    assert TEMPLATE.stat().st_size < 120_000
    with zipfile.ZipFile(TEMPLATE) as archive:
        manifest = read_manifest(archive.read("AndroidManifest.xml"))
        code = read_dex(archive.read("classes.dex"))
        assert archive.getinfo("classes.dex").file_size < 150_000
    version = template.read_version()
    assert (manifest.package, manifest.min_sdk, manifest.target_sdk) == (
        version.package,
        version.min_sdk,
        version.target_sdk,
    )
    assert manifest.launcher == "org.pocketvlad.demo.ui.MainActivity"
    assert {component.name for component in manifest.components} <= code.classes


def test_a_stack_trace_has_files_and_lines():
    with zipfile.ZipFile(TEMPLATE) as archive:
        code = archive.read("classes.dex")
    (at,) = struct.unpack_from("<I", code, 0x34)  # of its table of contents
    (count,) = struct.unpack_from("<I", code, at)
    parts = [struct.unpack_from("<HHII", code, at + 4 + 12 * i) for i in range(count)]
    lines = next(size for kind, _, size, _ in parts if kind == 0x2003)
    assert lines > 300 and b"MainActivity.java" in code


def test_the_app_asks_for_the_camera_alone():
    asked = re.findall(r'uses-permission android:name="([^"]+)"', template.full_manifest())
    assert asked == ["android.permission.CAMERA"]


def test_who_may_start_and_copy_what():
    """The self-test is adb's; nothing goes to a cloud, and only places and settings to a new phone."""
    manifest = ElementTree.fromstring(template.full_manifest())
    activities = {element.get(f"{ANDROID}name"): element for element in manifest.iter("activity")}
    selftest = activities[".selftest.SelfTestActivity"]
    assert selftest.get(f"{ANDROID}permission") == "android.permission.DUMP"
    kept = selftest.get(f"{ANDROID}configChanges").split("|")
    assert {"density", "fontScale", "locale", "layoutDirection", "keyboard", "navigation"} <= set(kept)
    application = manifest.find("application")
    assert application.get(f"{ANDROID}allowBackup") == "false"  # up to Android 11
    assert application.get(f"{ANDROID}dataExtractionRules") == "@xml/data_extraction"
    path = template.resource_dir("android_demo") / "app/src/main/res/xml/data_extraction.xml"
    rules = ElementTree.parse(path).getroot()
    assert [element.tag for element in rules.find("cloud-backup")] == ["exclude"] * 5
    moved = [(element.get("domain"), element.get("path")) for element in rules.find("device-transfer")]
    assert moved == [("file", "places/"), ("sharedpref", "settings.xml")]


def test_without_maven_the_message_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingToolError, match="mvn is missing; it rebuilds the app; apt-get install maven"):
        template.maven_file(template.R8)

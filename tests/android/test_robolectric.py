"""The app on a JVM: the finished APK's resources and assets, the real native library, SDK 26, 34 and 35."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketvlad.android.emulate import host_preload
from pocketvlad.android.template import ANDROID_ALL, link_resources, maven_file
from pocketvlad.index import open_index, search_index
from pocketvlad.resources import resource_dir

SDKS = {
    26: "8.0.0_r4-robolectric-r1-i7",
    34: "14-robolectric-10818077-i7",
    35: "15-robolectric-12650502-i7",
}
AARS = {"monitor": "androidx.test:monitor:1.7.2:aar", "espresso-idling-resource": "androidx.test.espresso:espresso-idling-resource:3.6.1:aar"}
SHOTS = Path(__file__).parents[2] / "out/screenshots"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("mvn") and shutil.which("javac")),
        reason="no JDK and Maven: apt-get install default-jdk-headless maven",
    ),
]


@pytest.fixture(scope="module")
def work(package, tmp_path_factory):
    """Everything AppTest reads: sources with R.java, jars, native libraries, photos, broken files."""
    work = tmp_path_factory.mktemp("robolectric")
    for name in ("jars", "sdks", "native", "photos", "files", "config/com/android/tools", "linked"):
        (work / name).mkdir(parents=True)
    sources = resource_dir("android_demo") / "app/src/main"
    shutil.copytree(sources / "java", work / "main")
    link_resources(sources, maven_file(ANDROID_ALL), work / "linked")
    shutil.copytree(work / "linked/generated", work / "main", dirs_exist_ok=True)
    for name, coordinates in AARS.items():
        with zipfile.ZipFile(maven_file(coordinates)) as aar:
            (work / f"jars/{name}.jar").write_bytes(aar.read("classes.jar"))
    for version in SDKS.values():
        jar = maven_file(f"org.robolectric:android-all-instrumented:{version}")
        (work / "sdks" / jar.name).symlink_to(jar)
    host_preload(package.apk, work / "native")
    _write_config(work, package.apk, sources)
    _write_photos(work / "photos", package)
    _write_files(work / "files", package)
    return work


def _write_config(work: Path, apk: Path, sources: Path) -> None:
    with zipfile.ZipFile(apk) as archive:
        names = [name for name in archive.namelist() if name.startswith("assets/")]
        archive.extractall(work, names)
    (work / "config/com/android/tools/test_config.properties").write_text(
        f"android_merged_manifest={sources / 'AndroidManifest.xml'}\n"
        f"android_resource_apk={apk}\n"
        f"android_merged_assets={work / 'assets'}\n"
        "android_custom_package=org.pocketvlad.demo\n"
    )
    (work / "config/robolectric.properties").write_text("graphicsMode=NATIVE\n")


def _write_photos(folder: Path, package) -> None:
    """A known photo, losslessly and turned, its place, and one unlike all others."""
    known = Image.open(package.photos[0])
    known.save(folder / "known.jpg", quality=97)
    known.save(folder / "known.png")
    exif = Image.Exif()
    exif[274] = 6  # stored turned counter-clockwise; a viewer turns it 90 degrees clockwise
    known.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", quality=97, exif=exif)
    (folder / "known.txt").write_text(package.photos[0].parent.name)
    noise = np.random.default_rng(5).integers(0, 256, (150, 200, 3), np.uint8)
    Image.fromarray(noise).save(folder / "unknown.jpg", quality=95)


def _write_files(folder: Path, package) -> None:
    program, index = package.program.read_bytes(), bytearray(package.index.read_bytes())
    (folder / "model.pte").write_bytes(program)
    (folder / "places.pvix").write_bytes(index)
    (folder / "damaged.pte").write_bytes(program[:200] + bytes(200))
    (folder / "damaged.pvix").write_bytes(index[:-5])
    index[40] ^= 1  # inside the fingerprint
    (folder / "foreign.pvix").write_bytes(index)


def test_the_fixture_photo_is_unknown_to_the_host_too(package, work):
    """Guards the premise of the app's test for unknown places."""
    from pocketvlad.export.runner import ProgramRunner

    index = open_index(package.index)
    descriptor = ProgramRunner(package.program).describe(work / "photos/unknown.jpg")
    assert search_index(index, descriptor[None], 1)[1][0, 0] < index.threshold


@pytest.mark.parametrize("sdk", SDKS)
def test_the_app(work, sdk):
    pom = resource_dir("android_demo") / "robolectric/pom.xml"
    result = subprocess.run(
        ["mvn", "-q", "-B", "-f", str(pom), f"-Dwork={work}", f"-Dsdk={sdk}", "test"],
        capture_output=True,
        text=True,
        timeout=900,
    )
    SHOTS.mkdir(parents=True, exist_ok=True)
    for shot in (work / "screenshots").glob(f"*sdk{sdk}*"):
        shutil.copy(shot, SHOTS)
    report = (result.stdout + result.stderr)[-3000:]
    assert result.returncode == 0, report
    assert (work / f"screenshots/known-sdk{sdk}.png").is_file(), report

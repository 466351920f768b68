"""The app on a JVM: the signed APK's resources and assets, the real native library, SDK 26, 34 and 36.

Maven runs the Java tests once per SDK (a native library can be loaded by one class loader only); each of them
is one test here.
"""

from __future__ import annotations

import io
import json
import logging
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.apks import change, edited
from helpers.icc import DISPLAY_P3, profile
from helpers.packages import Package, make_package
from helpers.photos import write_png16
from helpers.robolectric import (
    SDKS,
    Outcome,
    covered_lines,
    java_home,
    java_tests,
    run_java,
    write_config,
    write_sources,
)
from pocketvlad.android import host
from pocketvlad.android.apk import build_apk
from pocketvlad.android.emulate import host_preload
from pocketvlad.android.entries import INDEX
from pocketvlad.android.native import build_libraries
from pocketvlad.android.results import SelfTestResult
from pocketvlad.android.runtime import SMALL
from pocketvlad.android.signing import debug_keys
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.index import open_index
from pocketvlad.model.backbones import random_backbone
from pocketvlad.model.fit import fit_network
from pocketvlad.model.heads.netvlad import NetVladOptions
from pocketvlad.model.network import NetworkConfig
from pocketvlad.model.preprocess import Preprocess, load_photo, photo_tensor
from pocketvlad.resources import resource_dir
from pocketvlad.steps import index as index_step

ROOT = Path(__file__).parents[2]
REAL_PHOTOS = ROOT.parent / "shared/data/places_outdoor/images"
PREPROCESS = Preprocess(96, 128)
PLACES = 6  # of the street scenes, all six views each
THRESHOLD = 0.9  # a backbone of random weights tells a photo from others, not a place from others
# EXIF orientation -> what a camera did to the upright picture
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("mvn") and shutil.which("javac")),
        reason="no JDK and Maven: apt-get install default-jdk-headless maven",
    ),
]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """An APK that knows a few of the street scenes and, where they are at hand, two real photos."""
    folder = tmp_path_factory.mktemp("scenes")
    for photo in sorted((resource_dir("calibration") / "scenes").glob("p0[1-9]_*.jpg")):
        number, place = re.fullmatch(r"p(\d+)_(.+)_\d_\w+", photo.stem).groups()
        if int(number) <= PLACES:
            _add_photo(photo, folder / "photos" / place.replace("_", " ").capitalize())
    for photo in sorted(REAL_PHOTOS.glob("*.jpg"))[:2]:
        _add_photo(photo, folder / "photos" / "The real place")
    torch.manual_seed(0)
    config = NetworkConfig("squeezenet1_1", PREPROCESS, options=NetVladOptions(clusters=8), dim=32)
    photos = [photo_tensor(path, PREPROCESS) for path in sorted((folder / "photos").rglob("*.jpg"))]
    model = fit_network(
        config, random_backbone(config.backbone), list(map(torch.from_numpy, photos)), views=1
    )
    made = make_package(folder, model, LayerRecipe(bits=8))
    build_apk(
        made.apk,
        program=made.program,
        index=made.index,
        libraries=build_libraries(executorch=SMALL),
        config={
            "title": "Street scenes",
            "threshold": THRESHOLD,
            "fingerprint": open_index(made.index).fingerprint.hex(),
            "runtime": SMALL.name,
        },
        selftest=made.selftest,
        keys=debug_keys(folder / "keys.p12"),
        force=True,
    )
    return made


def _add_photo(photo: Path, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(photo, place / photo.name)


@pytest.fixture(scope="module")
def work(scenes: Package, package: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything the Java tests read, for the APK that is whole."""
    work = tmp_path_factory.mktemp("robolectric")
    (work / "photos").mkdir()
    (work / "files").mkdir()
    (work / "native").mkdir()
    write_sources(work)
    write_config(work, scenes.apk)
    host_preload(scenes.apk, work / "native")
    _write_photos(work / "photos", scenes)
    _write_files(work / "files", scenes, package)
    return work


def _write_photos(folder: Path, package: Package) -> None:
    """A known photo, also large and turned in every way, one unlike all others, and a real one."""
    known_path = next(path for path in package.photos if "clock_tower_1" in path.name)
    known = Image.open(known_path)
    known.save(folder / "known.png")
    known.save(folder / "known.jpg", quality=97)
    (folder / "known.jpg.txt").write_text(known_path.parent.name)
    known.resize((3000, 2250), Image.Resampling.BICUBIC).save(folder / "large.jpg", quality=95)
    known.save(folder / "p3.jpg", quality=97, icc_profile=profile(DISPLAY_P3))
    alpha = Image.linear_gradient("L").resize(known.size)
    transparent = known.convert("RGB")
    transparent.putalpha(alpha)
    transparent.save(folder / "transparent.png")
    for name in ("p3.jpg", "transparent.png", "large.jpg"):
        Image.fromarray(load_photo(folder / name, PREPROCESS).pixels).save(folder / f"{name}.png")
    _write_golden(folder.parent / "golden", known.convert("RGB"))
    size = [PREPROCESS.height, PREPROCESS.width]
    about = {"photos": 1, "isa": "", "program_bytes": 1, "index_bytes": 1, "image_size": size}
    (folder.parent / "places").mkdir()
    for photo in package.photos:
        shutil.copy(photo, folder.parent / "places" / photo.name)
    (folder.parent / "model.json").write_text(json.dumps(about))
    for orientation, transpose in STORED.items():
        exif = Image.Exif()
        exif[274] = orientation
        turned = known.transpose(transpose)
        turned.save(folder / f"turned{orientation}.jpg", quality=97, subsampling=0, exif=exif)
    noise = np.random.default_rng(5).integers(0, 256, (150, 200, 3), np.uint8)
    Image.fromarray(noise).save(folder / "unknown.jpg", quality=95)
    real = next((path for path in package.photos if path.parent.name == "The real place"), None)
    if real is not None:
        shutil.copy(real, folder / "real.jpg")
        (folder / "real.jpg.txt").write_text(real.parent.name)


def _write_golden(folder: Path, known: Image.Image) -> None:
    """Photos of the kinds that decoders differ about, each with the workstation's pixels beside it."""
    folder.mkdir()
    palette = known.quantize(64)
    palette.info["transparency"] = palette.getpixel((0, 0))
    alpha = Image.linear_gradient("L").resize(known.size)
    grey = known.convert("L")
    known.resize((4000, 3000), Image.Resampling.BICUBIC).save(
        folder / "12mp.jpg", progressive=True, quality=90
    )
    known.resize((8000, 900), Image.Resampling.BICUBIC).save(folder / "panorama.jpg", quality=90)
    known.convert("CMYK").save(folder / "cmyk.jpg", quality=97)
    palette.save(folder / "palette.png")
    write_png16(folder / "16-bit.png", np.asarray(known, np.uint16) * 257)
    grey.save(folder / "grey.jpg", quality=97)
    Image.merge("LA", (grey, alpha)).save(folder / "grey-alpha.png")
    known.save(folder / "lossless.webp", lossless=True)
    known.save(folder / "lossy.webp", quality=90)
    for photo in list(folder.iterdir()):
        Image.fromarray(load_photo(photo, PREPROCESS).pixels).save(folder / f"{photo.name}.expected.png")


def _write_files(folder: Path, package: Package, other: Package) -> None:
    """A model, a part of it damaged, and another one."""
    shutil.copy(other.program, folder / "other.pte")
    shutil.copy(other.index, folder / "other.pvix")
    (folder / "other.txt").write_text(str(open_index(other.index).threshold or -1))
    program, index = package.program.read_bytes(), bytearray(package.index.read_bytes())
    (folder / "model.pte").write_bytes(program)
    (folder / "places.pvix").write_bytes(index)
    (folder / "damaged.pte").write_bytes(program[:200] + bytes(200))
    (folder / "damaged.pvix").write_bytes(index[:-5])
    index[40] ^= 1  # inside the fingerprint
    (folder / "foreign.pvix").write_bytes(index)


@pytest.fixture(scope="module")
def run_sdk(work: Path) -> Callable[[int], dict[tuple[str, str], Outcome]]:
    """Runs all Java tests on one SDK, once; answers the outcome of each."""
    return cache(lambda sdk: run_java(work, sdk))


@pytest.mark.parametrize("test", java_tests(), ids=".".join)
@pytest.mark.parametrize("sdk", SDKS)
def test_app(run_sdk, sdk, test):
    if java_home(sdk) is None:
        pytest.skip(f"no JDK of Java 21 or newer in /usr/lib/jvm or JAVA_HOME, which API {sdk} needs")
    outcome = run_sdk(sdk).get(test, Outcome("missing", "Maven did not run it"))
    if outcome.status == "skipped":
        pytest.skip(outcome.message)
    assert outcome.status == "passed", outcome.message


def test_exported_places_join_the_workstations_index(run_sdk, work, scenes, tmp_path):
    """What PlacesTest exported, read and merged by Python."""
    run_sdk(34)
    exported = open_index(work / "screenshots/added-sdk34.pvix")
    assert [(entry.name, entry.label) for entry in exported.entries] == [
        ("phone-1-1.jpg", "A"),
        ("phone-1-2.jpg", "A"),
    ]
    assert (exported.entries[0].latitude, exported.entries[0].longitude) == (51.5, -0.125)
    assert Image.open(io.BytesIO(exported.entries[0].thumbnail)).size == (160, 120)
    np.testing.assert_allclose(np.linalg.norm(exported.descriptors(), axis=1), 1, atol=1e-5)
    result = index_step.merge([scenes.index, work / "screenshots/added-sdk34.pvix"], tmp_path / "all.pvix")
    assert (result.added, result.photos) == (2, len(open_index(scenes.index)) + 2)


def test_lines_of_the_app_are_covered(run_sdk, work):
    """JaCoCo's count over the SDKs; --log-cli-level=INFO shows it by class."""
    for sdk in SDKS:
        if java_home(sdk):
            run_sdk(sdk)
    lines = covered_lines(work)
    for name, (covered, total) in sorted(lines.items(), key=lambda item: item[1][0] - item[1][1]):
        logging.info("%4d of %4d lines of %s", covered, total, name)
    covered, total = (sum(counts) for counts in zip(*lines.values(), strict=True))
    logging.info("%.1f %% of the app's %d lines", 100 * covered / total, total)
    assert covered >= 0.8 * total


def test_what_the_app_shares_is_what_the_workstation_reads(run_sdk, work, scenes):
    """One form of a self-test's result for a phone, an emulated one and this machine."""
    run_sdk(34)
    shared = SelfTestResult.from_json(json.loads((work / "screenshots/shared-sdk34.json").read_text()))
    assert shared.passed and shared.where == "phone" and shared.device.sdk == 34
    assert shared.to_json().keys() == host.run_selftest(scenes.apk, runs=1).to_json().keys()


@pytest.mark.parametrize("broken", ["another model", "does not load: no pocketvlad"])
def test_broken_app(scenes, tmp_path, broken):
    """An APK whose parts do not fit says why, on its own screen."""
    write_sources(tmp_path)
    apk = tmp_path / "broken.apk"
    foreign = broken == "another model"
    damage = change(INDEX, lambda data: data[:40] + bytes([data[40] ^ foreign]) + data[41:])
    edited(scenes.apk, apk, debug_keys(tmp_path / "keys.p12"), damage)  # packaging itself would refuse it
    write_config(tmp_path, apk)
    (tmp_path / "reason.txt").write_text(broken)
    (tmp_path / "native").mkdir()
    if foreign:
        host_preload(apk, tmp_path / "native")
    outcomes = run_java(tmp_path, 34, "-Dtest=BrokenApp")
    assert [outcome.status for outcome in outcomes.values()] == ["passed"], outcomes

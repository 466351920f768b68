"""The APK's own libraries on this machine: the answers of the workstation, on each ISA, in little memory."""

from __future__ import annotations

import json
import platform
import shutil
import zipfile
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.apks import change, edited
from helpers.packages import Package, make_package, package_compressed, small_model, write_apk, write_photos
from pocketvlad.android import emulate, selftest
from pocketvlad.android.entries import INDEX, PROGRAM
from pocketvlad.android.native import build_libraries
from pocketvlad.android.runtime import RUNTIMES, SMALL
from pocketvlad.android.signing import debug_keys
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import INT8, LayerRecipe, Recipe
from pocketvlad.dataset import open_dataset
from pocketvlad.errors import IndexFormatError, MissingToolError, PackageError, PhoneError
from pocketvlad.index import open_index, write_index
from pocketvlad.model.preprocess import photo_tensor

needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-aarch64-static") is None or not Path("/usr/aarch64-linux-gnu/lib").is_dir(),
    reason="the emulated phone is missing: apt-get install qemu-user-static libc6-arm64-cross",
)
needs_x86 = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the x86_64 library needs an x86_64 machine"
)


@needs_qemu
@pytest.mark.parametrize(("cpu", "isa"), [("cortex-a53", "neon"), ("cortex-a76", "neon_dotprod")])
def test_arm64_answers_like_the_workstation(package, cpu, isa):
    result = emulate.run_selftest(package.apk, cpu=cpu)
    assert result.passed and len(result.pictures) == 3
    assert min(picture.cosine for picture in result.pictures) > 0.999999
    assert result.native.isa == isa and result.machine == f"qemu {cpu}"
    assert result.native.load_ms > 0


@pytest.fixture(scope="module")
def int8_package(tmp_path_factory) -> Package:
    """Convolutions by the runtime's XNNPACK in int8, an index of int8 vectors."""
    folder, model = tmp_path_factory.mktemp("int8"), small_model()
    write_photos(folder / "photos")
    dataset = open_dataset(str(folder / "photos"))
    photos = [torch.from_numpy(photo_tensor(p.path, model.config.preprocess)) for p in dataset.photos]
    recipe = Recipe(1, "int8", layer=LayerRecipe(bits=8), convolutions=INT8)
    compressed = compress_network(model, recipe, calibration=torch.stack(photos))
    return package_compressed(folder, compressed, dtype="int8")


@needs_qemu
@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a76", "max"])
def test_int8_convolutions_and_an_int8_index(int8_package, cpu):
    result = emulate.run_selftest(int8_package.apk, cpu=cpu)
    assert result.passed and min(picture.cosine for picture in result.pictures) > 0.9999


@needs_qemu
def test_16_kb_pages(package, monkeypatch):
    monkeypatch.setenv("QEMU_PAGESIZE", "16384")
    assert emulate.run_selftest(package.apk, cpu="max").passed


@needs_x86
def test_x86_64_answers_like_the_workstation(package):
    result = emulate.run_selftest(package.apk, abi="x86_64", runs=3)
    assert result.passed
    assert max(picture.max_difference for picture in result.pictures) < 1e-5
    assert result.native.program_bytes == package.program.stat().st_size


@needs_x86
@pytest.mark.parametrize("isa", ["avx2", "scalar"])
def test_other_kernels_than_the_best(package, isa):
    try:
        result = emulate.run_selftest(package.apk, abi="x86_64", isa=isa)
    except PhoneError as error:
        assert "this CPU has no kernels for" in str(error)
        pytest.skip(f"this CPU has no {isa}")
    assert result.passed and result.native.isa == isa


@needs_x86
def test_packed_weights_stay_in_the_file(tmp_path):
    """33.6 MB of codes: resident while they are read, but never copied to the heap."""
    write_photos(tmp_path / "photos")
    layer = LayerRecipe(bits=8, codebook="uniform", layout="dense")
    package = make_package(tmp_path, small_model(clusters=64, dim=1024), layer)
    result = emulate.run_selftest(package.apk, abi="x86_64")
    memory, native = result.memory, result.native
    assert result.passed and native.program_bytes > 33_000_000
    slack = 6_000  # kB: the photo, scratch of one layer per thread, threads
    activations = native.activation_bytes / 1024
    assert memory.anonymous_kb - memory.before_anonymous_kb < activations + slack
    files_kb = (native.program_bytes + native.index_bytes) / 1024
    assert memory.peak_kb - memory.before_kb < files_kb + activations + slack


@needs_qemu
@pytest.mark.parametrize("executorch", RUNTIMES, ids=lambda one: one.version)
def test_committed_list_of_operators_is_the_librarys(executorch):
    committed = json.loads(files("pocketvlad.android").joinpath(executorch.listing).read_text())
    assert emulate.runtime_names("arm64-v8a", executorch) == committed


@pytest.fixture(scope="module")
def small_packages(package, int8_package, tmp_path_factory) -> list[Path]:
    """The same programs with the small runtime."""
    folder = tmp_path_factory.mktemp("small runtime")
    for number, made in enumerate((package, int8_package)):
        write_apk(folder / f"{number}.apk", made, build_libraries(executorch=SMALL))
    return sorted(folder.glob("*.apk"))


@needs_qemu
@pytest.mark.parametrize(("cpu", "isa"), [("cortex-a53", "neon"), ("max", "neon_i8mm")])
def test_the_small_runtime_answers_alike(small_packages, cpu, isa):
    for apk in small_packages:
        result = emulate.run_selftest(apk, cpu=cpu)
        assert result.passed and result.native.isa == isa
        assert min(picture.cosine for picture in result.pictures) > 0.9999


@needs_x86
def test_a_wrong_answer_does_not_pass(package, tmp_path):
    manifest = json.loads(package.selftest[selftest.MANIFEST])
    first, second, _ = manifest["pictures"]
    first["descriptor"], second["top"] = second["descriptor"], second["top"][::-1]
    files = {**package.selftest, selftest.MANIFEST: json.dumps(manifest).encode()}
    write_apk(tmp_path / "a.apk", replace(package, selftest=files))
    result = emulate.run_selftest(tmp_path / "a.apk", abi="x86_64")
    assert not result.passed
    verdicts = [(picture.same_top, picture.passed) for picture in result.pictures]
    assert verdicts == [(True, False), (False, False), (True, True)]


def damaged_program(package: Package, apk: Path) -> None:
    cut = change(PROGRAM, lambda data: data[: len(data) // 3])
    edited(package.apk, apk, debug_keys(apk.with_suffix(".p12")), cut)


def with_foreign_index(package: Package, folder: Path) -> Package:
    index = folder / "places.pvix"
    write_index(index, replace(open_index(package.index), fingerprint=bytes(32)))
    return replace(package, index=index)


def foreign_index(package: Package, apk: Path) -> None:
    write_apk(apk, with_foreign_index(package, apk.parent))


def damaged_index(package: Package, apk: Path) -> None:
    cut = change(INDEX, lambda data: data[:-1])
    edited(package.apk, apk, debug_keys(apk.with_suffix(".p12")), cut)


@needs_x86
@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (damaged_program, "this machine .*: The model file is damaged: rule"),
        (foreign_index, "The place index belongs to another model; build it again"),
        (damaged_index, "The place index is damaged: rule "),
    ],
)
def test_what_the_app_refuses_is_one_line(package, tmp_path, broken, message):
    broken(package, tmp_path / "a.apk")
    with pytest.raises(PhoneError, match=message) as caught:
        emulate.run_selftest(tmp_path / "a.apk", abi="x86_64")
    assert "\n" not in str(caught.value)


@needs_qemu
def test_unknown_cpu_and_abi(package):
    with pytest.raises(PhoneError, match="qemu knows no such CPU; found cortex-b1"):
        emulate.run_selftest(package.apk, cpu="cortex-b1")
    with pytest.raises(PhoneError, match="unknown ABI; found mips; allowed: arm64-v8a, x86_64"):
        emulate.run_selftest(package.apk, abi="mips")


@needs_x86
def test_missing_qemu_names_the_packages(package, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        MissingToolError, match=r"qemu is missing.*apt-get install qemu-user-static libc6-arm64"
    ):
        emulate.run_selftest(package.apk)


@pytest.mark.parametrize(
    ("content", "message"),
    [({}, "has no self-test"), ({"assets/selftest/manifest.json": b'{"format": 9}'}, "has no self-test")],
)
def test_an_apk_without_selftest(tmp_path, content, message):
    path = tmp_path / "a.apk"
    with zipfile.ZipFile(path, "w") as apk:
        for name, data in content.items():
            apk.writestr(name, data)
    with pytest.raises(PackageError, match=message):
        emulate.run_selftest(path)


def test_pictures_are_upright_small_and_lossless(package, tmp_path):
    pixels = np.zeros((600, 1000, 3), np.uint8)
    pixels[:, :500] = 200  # bright left half
    exif = Image.Exif()
    exif[274] = 6  # shown turned clockwise: bright on top
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    built = selftest.build(package.program, package.index, [tmp_path / "turned.jpg"])
    write_apk(tmp_path / "a.apk", replace(package, selftest=built))
    manifest = selftest.read_manifest(tmp_path / "a.apk")
    picture = selftest.read_pictures(tmp_path / "a.apk", manifest)[0]
    assert picture.shape == (480, 288, 4)
    assert picture[100, 144, 0] > 150 > 50 > picture[400, 144, 0]
    assert manifest.pictures[0].name == "turned.jpg"
    assert np.linalg.norm(manifest.pictures[0].descriptor) == pytest.approx(1, abs=1e-5)


def test_without_photos_the_indexs_thumbnails_are_the_pictures(package, tmp_path):
    built = selftest.build(package.program, package.index, [])
    write_apk(tmp_path / "a.apk", replace(package, selftest=built))
    manifest = selftest.read_manifest(tmp_path / "a.apk")
    entries = open_index(package.index).entries[:3]
    assert [picture.name for picture in manifest.pictures] == [entry.name for entry in entries]
    assert selftest.read_pictures(tmp_path / "a.apk", manifest)[0].shape == (120, 160, 4)


def test_selftest_of_another_model_is_refused(package, tmp_path):
    other = with_foreign_index(package, tmp_path)
    with pytest.raises(IndexFormatError, match="another model"):
        selftest.build(other.program, other.index, package.photos[:1])

"""AlexNet + NetVLAD + WPCA4096 at 480x640, 278 MB in float32, through the whole chain at full size."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.models import make_model
from pocketvlad.android import selftest
from pocketvlad.android.apk import build_apk
from pocketvlad.android.emulate import run_selftest
from pocketvlad.android.native import build_libraries
from pocketvlad.android.signing import debug_keys
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import load_recipe
from pocketvlad.compress.sizes import layer_sizes
from pocketvlad.dataset import open_dataset
from pocketvlad.export.program import export_program
from pocketvlad.index import build_index, write_index
from pocketvlad.model.network import Network
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.runtime.runner import ProgramRunner

pytestmark = pytest.mark.slow
OVERHEAD = 1.02  # of the codes and codebooks: graph, biases, metadata, alignment
SLACK_KB = 12_000  # the input, the mapped APK around the model, the index


def heavy_tailed_model() -> Network:
    """Random weights with the whitening's measured shape: many small, a few large (Student t, 4 degrees)."""
    model = make_model("alexnet", 64, 4096, Preprocess(480, 640))
    random = np.random.default_rng(0)
    weight = np.empty(tuple(model.whitening.weight.shape), np.float32)
    for rows in np.array_split(weight, 16):
        rows[:] = random.standard_t(4, rows.shape) * 0.01
    model.whitening.weight.data = torch.from_numpy(weight)
    return model


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    """(compressed model, program, folder) with the paper's 5-bit recipe."""
    folder = tmp_path_factory.mktemp("alexnet")
    compressed = compress_network(heavy_tailed_model(), load_recipe("paper-5bit"))
    program = folder / "model.pte"
    export_program(compressed, program)
    return compressed, program, folder


@pytest.fixture(scope="module")
def apk(alexnet):
    _, program, folder = alexnet
    for place in range(2):
        pixels = np.random.default_rng(place).integers(0, 256, (6, 8, 3), np.uint8)
        path = folder / f"photos/place {place}/0.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(pixels).resize((160, 120), Image.Resampling.BICUBIC).save(path)
    runner = ProgramRunner(program)
    index, _ = build_index(runner.describe, open_dataset(str(folder / "photos")), runner.info.fingerprint)
    write_index(folder / "places.pvix", index)
    build_apk(
        folder / "a.apk",
        program=program,
        index=folder / "places.pvix",
        libraries=build_libraries(),
        config={"title": "AlexNet", "threshold": None, "fingerprint": index.fingerprint.hex()},
        selftest=selftest.build(program, folder / "places.pvix", [folder / "photos/place 0/0.png"]),
        keys=debug_keys(folder / "debug.p12"),
    )
    return folder / "a.apk"


def test_the_program_is_its_codes_and_codebooks(alexnet):
    compressed, program, _ = alexnet
    float_bytes = 4 * sum(lut.rows * lut.columns for lut in compressed.layers.values())
    packed = sum(size.mask + size.codes + size.codebook for size in layer_sizes(compressed))
    assert float_bytes > 277e6
    assert program.stat().st_size <= OVERHEAD * packed


def test_the_phone_library_maps_it_and_keeps_it_mapped(alexnet, apk):
    """On this machine's own x86_64 build: anonymous memory holds activations, never the weights."""
    result = run_selftest(apk, abi="x86_64")
    assert result.passed, result
    activations = result.native.activation_bytes / 1e3
    size = alexnet[1].stat().st_size / 1e3
    memory = result.memory
    assert memory.peak_kb - memory.before_kb <= size + 2 * activations + SLACK_KB, memory
    assert memory.anonymous_kb - memory.before_anonymous_kb <= 2 * activations + SLACK_KB, memory


@pytest.mark.skipif(
    not (shutil.which("qemu-aarch64-static") and shutil.which("aarch64-linux-gnu-gcc")),
    reason="no qemu or cross compiler: apt-get install qemu-user-static g++-aarch64-linux-gnu",
)
def test_the_emulated_phone_answers_as_the_host_does(apk):
    result = run_selftest(apk, cpu="cortex-a53")
    assert result.passed, result

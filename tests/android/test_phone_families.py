"""A small recogniser in the app's own library on an emulated phone answers as here; studies.phones has more."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.checkpoints import tiny_transformers
from helpers.families import network
from pocketvlad.android.emulate import run_selftest
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import load_recipe
from pocketvlad.dataset import open_dataset
from pocketvlad.export.program import export_program
from studies.phones import packaged

__all__ = ["tiny_transformers"]  # a fixture
pytestmark = pytest.mark.skipif(
    not (shutil.which("qemu-aarch64-static") and shutil.which("aarch64-linux-gnu-gcc")),
    reason="no qemu or cross compiler: apt-get install qemu-user-static g++-aarch64-linux-gnu",
)


def test_the_emulated_phone_answers_as_the_host_does(tiny_transformers, tmp_path):
    """On a core without dot products; MegaLoc has codes of few bits, attention, norms and optimal transport."""
    model = network("megaloc")
    photos = torch.randn(4, 3, *model.config.size, generator=torch.Generator().manual_seed(1))
    compressed = compress_network(model, load_recipe("compact-8x"), calibration=photos)
    export_program(compressed, tmp_path / "m.pte")
    for place in range(2):
        pixels = np.random.default_rng(place).integers(0, 256, (6, 8, 3), np.uint8)
        path = tmp_path / f"photos/place {place}/0.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(pixels).resize((160, 120), Image.Resampling.BICUBIC).save(path)
    apk = packaged(tmp_path / "m.pte", open_dataset(str(tmp_path / "photos")), tmp_path)
    result = run_selftest(apk, cpu="cortex-a53")
    assert result.passed, result

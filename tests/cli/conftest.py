"""Files that the commands themselves made, once for all tests of the command line."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from pocketvlad.cli import main


@pytest.fixture(scope="package")
def photos(tmp_path_factory):
    """Three places with three smooth random views each, one corrupt photo among them."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for place in range(3):
        scene = random.normal(128, 60, (8, 10, 3))
        for view in range(3):
            path = folder / f"place-{place}/{view}.jpg"
            path.parent.mkdir(exist_ok=True)
            pixels = np.clip(scene + random.normal(0, 10, scene.shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((160, 120), Image.Resampling.BICUBIC).save(path)
    (folder / "place-0/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    return folder


@pytest.fixture(scope="package")
def weights(tmp_path_factory):
    import torchvision

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "squeezenet.pth"
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), path)
    return path


@pytest.fixture(scope="package")
def chain(photos, weights, tmp_path_factory):
    """model, compressed, program and index files made by the commands themselves."""
    folder = tmp_path_factory.mktemp("chain")
    files = {
        name: folder / name for name in ("model.safetensors", "small.safetensors", "model.pte", "p.pvix")
    }
    model, small, program, index = files.values()
    fit = ["fit", "--backbone", "squeezenet1_1", "--weights", weights, "--photos", photos, "--clusters", 4]
    commands = [
        [*fit, "--dim", 8, "--size", "64x96", "--out", model],
        ["compress", model, "--recipe", "paper-8bit", "--out", small],
        ["export", small, "--photos", photos / "place-1", "--out", program],
        ["index", "build", program, "--photos", photos, "--out", index],
    ]
    with pytest.MonkeyPatch.context() as patch:
        for command in commands:
            patch.setattr(sys, "argv", ["pocketvlad", *map(str, command)])
            with pytest.raises(SystemExit) as ended:
                main()
            assert not ended.value.code
    return files

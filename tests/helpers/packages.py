"""One small but real APK, made once: a compressed model, its program, an index of a few photos, libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from helpers.models import make_model
from pocketvlad.android import selftest
from pocketvlad.android.apk import build_apk
from pocketvlad.android.native import build_libraries
from pocketvlad.android.signing import debug_keys
from pocketvlad.compress.compressed import Compressed
from pocketvlad.compress.post_training import compress_weights
from pocketvlad.compress.recipe import LayerRecipe, Recipe
from pocketvlad.dataset import open_dataset
from pocketvlad.export.program import export_program
from pocketvlad.index import build_index, open_index, write_index
from pocketvlad.model.network import Network
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.runtime.runner import ProgramRunner

PLACES, VIEWS = 4, 2


@dataclass(frozen=True)
class Package:
    """An APK and what it was made of."""

    apk: Path
    program: Path
    index: Path
    photos: tuple[Path, ...]
    selftest: dict[str, bytes]


def write_photos(folder: Path) -> None:
    """PLACES sub-folders of VIEWS smooth random pictures; views of a place differ a little."""
    random = np.random.default_rng(0)
    for place in range(PLACES):
        scene = random.normal(128, 60, (6, 8, 3))
        for view in range(VIEWS):
            pixels = np.clip(scene + random.normal(0, 8, scene.shape), 0, 255).astype(np.uint8)
            path = folder / f"place {place}" / f"ansicht-{view}-ö😀.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).resize((200, 150), Image.Resampling.BICUBIC).save(path, quality=95)


def small_model(clusters: int = 4, dim: int = 24) -> Network:
    """SqueezeNet with random weights of a fixed seed, for 64x96 photos."""
    model = make_model(clusters=clusters, dim=dim, preprocess=Preprocess(64, 96))
    assert model.whitening is not None
    with torch.no_grad():
        vlad = model.head(model.backbone(torch.randn(8, 3, 64, 96)))
        model.whitening.bias.copy_(-model.whitening.weight @ vlad.mean(0))  # else all photos look alike
    return model


def make_package(folder: Path, model: Network, layer: LayerRecipe) -> Package:
    """Compress and :func:`package_compressed`."""
    return package_compressed(folder, compress_weights(model, Recipe(1, "small", layer=layer)))


def package_compressed(folder: Path, compressed: Compressed, *, dtype: str = "float16") -> Package:
    """Export, index the photos of ``folder / "photos"`` as vectors of ``dtype``, and package."""
    program, index, apk = folder / "model.pte", folder / "places.pvix", folder / "demo.apk"
    export_program(compressed, program, semantics="fast")
    runner = ProgramRunner(program)
    dataset = open_dataset(str(folder / "photos"))
    places, skipped = build_index(runner.describe, dataset, runner.info.fingerprint, dtype=dtype)
    assert not skipped
    write_index(index, places)
    photos = tuple(photo.path for photo in dataset.photos)
    package = Package(apk, program, index, photos, selftest.build(program, index, photos[:3]))
    write_apk(apk, package)
    return package


def write_apk(out: Path, package: Package, libraries: Mapping[str, Sequence[Path]] | None = None) -> None:
    """A signed APK of a package's files; without ``libraries`` those of the full runtime."""
    build_apk(
        out,
        program=package.program,
        index=package.index,
        libraries=libraries or build_libraries(),
        config={
            "title": "test",
            "threshold": 0.5,
            "fingerprint": open_index(package.index).fingerprint.hex(),
        },
        selftest=package.selftest,
        keys=debug_keys(out.with_suffix(".p12")),
    )

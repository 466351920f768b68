"""A folder of places with photos of each, small and smooth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_places(root: Path, places: int, views: int, size: tuple[int, int] = (160, 120)) -> Path:
    """``root/place-N/M.jpg``: views of one place differ little, those of others a lot; ``size`` is width, height."""
    random = np.random.default_rng(0)
    for place in range(places):
        scene = random.normal(128, 60, (8, 10, 3))
        (root / f"place-{place}").mkdir(parents=True)
        for view in range(views):
            pixels = np.clip(scene + random.normal(0, 12, scene.shape), 0, 255).astype(np.uint8)
            photo = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
            photo.save(root / f"place-{place}/{view}.jpg")
    return root

"""Several views of a photo, where photos are few: itself, its mirror image, crops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor
from torch.nn import functional

_SMALLEST_CROP = 0.6  # of each side
Crop = tuple[int, int, int, int]  # top, left, height, width


def photo_views(photos: Sequence[Tensor] | Tensor, views: int, seed: int = 0) -> Iterator[Tensor]:
    """Each photo, its mirror image, then random crops of either, resized to the photo's size.

    Args:
        photos: float32 [3, H, W] each.
        views: of each photo.
        seed: of the crops.
    """
    random = np.random.default_rng(seed)
    for number in range(len(photos)):
        photo = photos[number]
        yield from views_of(photo, drawn_crops(photo.shape[1:], views, random), views)


def drawn_crops(size: Sequence[int], views: int, random: np.random.Generator) -> list[Crop]:
    """Of a photo of H x W; only views after the second are cropped."""
    height, width = size
    found = []
    for _ in range(2, views):
        side = random.uniform(_SMALLEST_CROP, 1)
        h, w = int(side * height), int(side * width)
        top, left = random.integers(0, height - h + 1), random.integers(0, width - w + 1)
        found.append((int(top), int(left), h, w))
    return found


def views_of(photo: Tensor, crops: Sequence[Crop], views: int) -> Iterator[Tensor]:
    """As many views of one photo, float32 [3, H, W] each."""
    whole = (0, 0, *photo.shape[1:])
    for view, (top, left, h, w) in enumerate((whole, whole, *crops)[:views]):
        crop = photo
        if view >= 2:
            crop = photo[None, :, top : top + h, left : left + w]
            crop = functional.interpolate(crop, photo.shape[1:], mode="bilinear", align_corners=False)[0]
        yield crop.flip(2) if view % 2 else crop

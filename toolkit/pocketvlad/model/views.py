"""Several views of a photo, where photos are few: itself, its mirror image, crops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor
from torch.nn import functional

_SMALLEST_CROP = 0.6  # of each side


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
        height, width = photo.shape[1:]
        for view in range(views):
            crop = photo
            if view >= 2:
                side = random.uniform(_SMALLEST_CROP, 1)
                h, w = int(side * height), int(side * width)
                top, left = random.integers(0, height - h + 1), random.integers(0, width - w + 1)
                crop = photo[None, :, top : top + h, left : left + w]
                crop = functional.interpolate(crop, (height, width), mode="bilinear", align_corners=False)[0]
            yield crop.flip(2) if view % 2 else crop

"""VLAD vectors of calibration photos and of crops of them, by the uncompressed and the compressed model."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

VIEWS = 900  # vectors wanted; few photos give several views each
_MOST_VIEWS = 6  # of one photo
_SMALLEST_CROP = 0.6  # of each side


def views_per_photo(photos: int) -> int:
    """How many views make :data:`VIEWS` vectors of that many photos."""
    return int(np.clip(-(-VIEWS // photos), 1, _MOST_VIEWS))


def photo_views(photos: Tensor, seed: int = 0) -> Iterator[Tensor]:
    """Each photo, its mirror image, then random crops of either at the photo's size: float32 [3, H, W]."""
    views = views_per_photo(len(photos))
    random = np.random.default_rng(seed)
    height, width = photos.shape[2:]
    for photo in photos:
        for view in range(views):
            crop = photo
            if view >= 2:
                side = random.uniform(_SMALLEST_CROP, 1)
                h, w = int(side * height), int(side * width)
                top, left = random.integers(0, height - h + 1), random.integers(0, width - w + 1)
                crop = photo[None, :, top : top + h, left : left + w]
                crop = functional.interpolate(crop, (height, width), mode="bilinear", align_corners=False)[0]
            yield crop.flip(2) if view % 2 else crop


def vlad_pairs(
    reference: nn.Module, compressed: nn.Module, photos: Tensor, tick: Callable[[], None] = lambda: None
) -> tuple[Tensor, Tensor]:
    """VLAD vectors of every view by both models, float32 [M, K * D]; ``tick`` after each view."""
    wanted, found = [], []
    for view in photo_views(photos):
        wanted.append(reference.pool(reference.backbone(view[None]))[0])
        found.append(compressed.pool(compressed.backbone(view[None]))[0])
        tick()
    return torch.stack(wanted), torch.stack(found)

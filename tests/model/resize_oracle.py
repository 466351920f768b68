"""Scenes and the oracle of the resize."""

from __future__ import annotations

import numpy as np

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
# Upright array -> the array a camera that writes this orientation would store.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[:, ::-1],
}


def scene(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Smooth shapes with noise: uint8 [height, width, channels]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 100 * np.sin(x / (5 + c) + y / (9 + 2 * c) + c) for c in range(channels)]
    return np.clip(np.stack(planes, -1) + rng.normal(0, 12, (height, width, channels)), 0, 255).astype(
        np.uint8
    )


def triangle_matrix(size: int, out: int) -> np.ndarray:
    """The resize as a matrix, float64 [out, size]."""
    ratio = size / out
    support = max(ratio, 1.0)
    centres = (np.arange(out) + 0.5)[:, None] * ratio
    weights = np.maximum(0, 1 - np.abs(np.arange(size)[None] + 0.5 - centres) / support)
    return weights / weights.sum(1, keepdims=True)


def reference(upright: np.ndarray, height: int, width: int) -> np.ndarray:
    down, across = triangle_matrix(upright.shape[0], height), triangle_matrix(upright.shape[1], width)
    planes = upright[..., :3].transpose(2, 0, 1) / 255.0
    return down @ planes @ across.T

"""Photos of more than 8 bits: their values as bytes, a part at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

RANGES_16 = (4095.0, 65535.0)  # white of 12-bit cameras and of 16 bits
_RANGES_32 = (*RANGES_16, 2.0**32 - 1)
_AT_ONCE = 1 << 20  # deep values that become float64


def grey_to_8_bits(image: Image.Image) -> Image.Image:
    """A grey photo of more than 8 bits, or of floats."""
    if image.mode.startswith("I;16"):
        ranges: tuple[float, ...] = RANGES_16
    else:
        ranges = (1.0, 255.0, *_RANGES_32) if image.mode == "F" else (255.0, *_RANGES_32)
    return Image.fromarray(to_8_bits(np.asarray(image), ranges))


def to_8_bits(values: np.ndarray, ranges: Sequence[float]) -> np.ndarray:
    """Values over the smallest of the usual ``ranges`` that holds them all -> uint8 of the same shape."""
    rows = max(1, _AT_ONCE // values[0].size)
    parts = [slice(first, first + rows) for first in range(0, len(values), rows)]
    largest = max(_finite(values[part]).max() for part in parts)
    white = next((top for top in ranges if largest <= top), ranges[-1])
    found = np.empty(values.shape, np.uint8)
    for part in parts:
        found[part] = np.clip(np.rint(_finite(values[part]) * (255 / white)), 0, 255)
    return found


def _finite(values: np.ndarray) -> np.ndarray:
    return np.nan_to_num(values.astype(np.float64))

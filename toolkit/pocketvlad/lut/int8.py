"""The NumPy oracle of int8 activations that stay int8 from layer to layer: what every kernel must compute, to the bit.

An activation is ``(q - zero) * scale`` of int8 q, on a grid that calibration fitted. In memory an image is int8
[B, quads, H, W, 4], ``quads = ceil(C / 4)``: four channels of a pixel side by side; channels past the last hold the
grid's zero. Sums are int32 and exact; what follows them is one float32 multiplication and one addition, rounded as
IEEE 754 says, the same everywhere. Rounding to whole numbers is to nearest, ties to even.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pocketvlad.errors import KernelError
from pocketvlad.lut.reference import NONE, RELU6, integer_weights, patches
from pocketvlad.lut.tensor import LutTensor

LOWEST, HIGHEST = -128, 127
QUAD = 4
_PRECISION, _LARGEST_SHIFT = 14, 22  # bits of a summand's multiplier; a sum's shift


@dataclass(frozen=True)
class Grid:
    """``(q - zero) * scale``; scale a positive float32, zero an int8."""

    scale: float
    zero: int

    def ends(self, activation: int) -> tuple[int, int]:
        """What an activation clamps int8 values to."""
        six = int(min(np.rint(np.float32(6) / np.float32(self.scale)) + self.zero, HIGHEST))
        return (LOWEST if activation == NONE else self.zero), (six if activation == RELU6 else HIGHEST)


def to_quads(q: np.ndarray, zero: int) -> np.ndarray:
    """int8 [B, C, H, W] -> [B, quads, H, W, 4]."""
    batch, channels, height, width = q.shape
    missing = -channels % QUAD
    padded = np.pad(q, ((0, 0), (0, missing), (0, 0), (0, 0)), constant_values=zero)
    return np.ascontiguousarray(padded.reshape(batch, -1, QUAD, height, width).transpose(0, 1, 3, 4, 2))


def from_quads(x: np.ndarray, channels: int) -> np.ndarray:
    """int8 [B, quads, H, W, 4] -> [B, channels, H, W]."""
    batch, quads, height, width = x.shape[:4]
    return x.transpose(0, 1, 4, 2, 3).reshape(batch, quads * QUAD, height, width)[:, :channels]


def from_float(x: np.ndarray, grid: Grid) -> np.ndarray:
    """float32 [B, C, H, W] -> int8 quads: ``clamp(rint(x / scale) + zero)``."""
    q = np.rint(x * (np.float32(1) / np.float32(grid.scale)))
    return to_quads(
        (np.clip(q, LOWEST - grid.zero, HIGHEST - grid.zero) + grid.zero).astype(np.int8), grid.zero
    )


def to_float(x: np.ndarray, channels: int, grid: Grid) -> np.ndarray:
    """int8 quads -> float32 [B, channels, H, W]."""
    steps = from_quads(x, channels).astype(np.int32) - grid.zero
    return steps.astype(np.float32) * np.float32(grid.scale)


def conv2d(
    x: np.ndarray,
    lut: LutTensor,
    bias: np.ndarray | None,
    source: Grid,
    out: Grid,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    activation: int = 0,
) -> np.ndarray:
    """2-D convolution with the int8 weights of the ``fast`` semantics: int8 quads -> int8 quads.

    ``clamp(rint(sum * scale + (bias / out.scale + out.zero)))``, of int32 sums of ``w * (q - source.zero)`` and
    ``scale = source.scale * row / out.scale``; ``row`` is the scale of an output channel's weights.

    Args:
        padding: top, left, bottom, right.
        groups: 1, as many as channels, or such that a group's channels, in and out, are whole quads.
    """
    channels = lut.shape[1] * groups
    weights, row = integer_weights(lut)
    values = from_quads(x, channels).astype(np.int32) - source.zero
    top, left, bottom, right = padding
    padded = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)))
    found = patches(padded, (lut.shape[2], lut.shape[3]), stride, (0, 0), dilation, groups)
    grouped = weights.reshape(groups, lut.rows // groups, -1)
    sums = np.einsum("bgkyx,gok->bgoyx", found, grouped, optimize=True)
    sums = sums.reshape(len(x), lut.rows, *sums.shape[3:]).astype(np.float32)
    scale = np.float32(source.scale) * row / np.float32(out.scale)
    offset = np.zeros(lut.rows, np.float32) if bias is None else bias / np.float32(out.scale)
    y = sums * scale[:, None, None] + (offset + np.float32(out.zero))[:, None, None]
    return to_quads(np.rint(np.clip(y, *out.ends(activation))).astype(np.int8), out.zero)


def add(
    a: np.ndarray, a_grid: Grid, b: np.ndarray, b_grid: Grid, out: Grid, *, activation: int = 0
) -> np.ndarray:
    """The sum of two int8 images, in fixed point: ``(a * ma + b * mb + c) >> shift``, half a step rounds up.

    Raises:
        KernelError: a step of a summand is more than the whole grid of the sum.
    """
    ratios = [np.float64(np.float32(grid.scale)) / np.float32(out.scale) for grid in (a_grid, b_grid)]
    exponent = int(np.frexp(max(ratios))[1])
    if exponent >= _PRECISION:
        raise KernelError("a sum's grid is too fine", found=f"{max(ratios):.3g} steps for a summand's one")
    shift = min(_PRECISION - exponent, _LARGEST_SHIFT)
    ma, mb = (int(np.rint(np.ldexp(ratio, shift))) for ratio in ratios)
    constant = out.zero * (1 << shift) - a_grid.zero * ma - b_grid.zero * mb + (1 << shift - 1)
    sums = (a.astype(np.int32) * ma + b.astype(np.int32) * mb + constant) >> shift
    return np.clip(sums, *out.ends(activation)).astype(np.int8)


def max_pool(x: np.ndarray, kernel: int, stride: int, padding: int, *, ceil: bool) -> np.ndarray:
    """The largest value of each window, int8 quads -> int8 quads; windows do not see the padding."""
    height, width = (pooled_size(size, kernel, stride, padding, ceil=ceil) for size in x.shape[2:4])
    reach = [kernel + stride * (size - 1) - padding for size in (height, width)]
    edge = [(padding, max(0, end - size)) for end, size in zip(reach, x.shape[2:4], strict=True)]
    padded = np.pad(x, ((0, 0), (0, 0), *edge, (0, 0)), constant_values=LOWEST)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
    return np.ascontiguousarray(windows[:, :, ::stride, ::stride][:, :, :height, :width].max(axis=(5, 6)))


def pooled_size(size: int, kernel: int, stride: int, padding: int, *, ceil: bool) -> int:
    """Windows along an axis, as torch counts them: none starts past the end and its padding."""
    room = size + 2 * padding - kernel
    windows = (-(-room // stride) if ceil else room // stride) + 1
    return windows if (windows - 1) * stride < size + padding else windows - 1


def convolved_size(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> tuple[int, int]:
    """Height and width of a convolution's output; ``padding`` is top, left, bottom, right."""
    sizes = [
        (size[a] + padding[a] + padding[2 + a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1
        for a in (0, 1)
    ]
    return sizes[0], sizes[1]

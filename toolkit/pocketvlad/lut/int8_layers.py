"""torch modules of int8 activations that stay int8 from layer to layer; each calls one op of
:mod:`pocketvlad.lut.int8_ops`. Images are int8 [B, quads, H, W, 4].
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad.lut import int8_ops  # noqa: F401  registers the ops the modules call
from pocketvlad.lut.int8 import Grid
from pocketvlad.lut.layers import PackedLayer
from pocketvlad.lut.tensor import LutTensor

OPS = torch.ops.pocketvlad


class Int8FromFloat(nn.Module):
    """float32 [B, C, H, W] -> int8 image on a grid."""

    def __init__(self, grid: Grid):
        super().__init__()
        self.grid = grid

    def forward(self, x: Tensor) -> Tensor:
        return OPS.int8_from_float(x, self.grid.scale, self.grid.zero)


class Int8ToFloat(nn.Module):
    """int8 image of ``channels`` channels -> float32 [B, channels, H, W]."""

    def __init__(self, channels: int, grid: Grid):
        super().__init__()
        self.channels, self.grid = channels, grid

    def forward(self, x: Tensor) -> Tensor:
        return OPS.int8_to_float(x, self.channels, self.grid.scale, self.grid.zero)


class Int8LutConv2d(PackedLayer):
    """``nn.Conv2d`` over packed codes with int8 activations on both sides: int8 image -> int8 image.

    Args:
        lut: of the weight.
        bias: float32 [O] or None.
        like: what it takes the place of.
        source, out: grids of its input and output.
        padding: top, left, bottom, right.
        activation: as the lookup ops number it.
    """

    def __init__(
        self,
        lut: LutTensor,
        bias: np.ndarray | None,
        like: nn.Conv2d,
        source: Grid,
        out: Grid,
        *,
        padding: tuple[int, int, int, int],
        activation: int,
    ):
        super().__init__(lut, bias, fast=True)
        self.channels, self.out_channels, self.groups = like.in_channels, like.out_channels, like.groups
        self.kernel_size, self.stride = list(like.kernel_size), list(like.stride)
        self.padding, self.dilation = list(padding), list(like.dilation)
        self.activation, self.source, self.out = activation, source, out

    def forward(self, x: Tensor) -> Tensor:
        return OPS.int8_conv2d(
            x,
            *self.arguments(),
            self.channels,
            self.out_channels,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            self.activation,
            self.source.scale,
            self.source.zero,
            self.out.scale,
            self.out.zero,
        )


class Int8Add(nn.Module):
    """The sum of two int8 images of the same shape, each on its own grid."""

    def __init__(self, a: Grid, b: Grid, out: Grid, *, activation: int):
        super().__init__()
        self.a, self.b, self.out, self.activation = a, b, out, activation

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        grids = (each for grid in (self.a, self.b, self.out) for each in (grid.scale, grid.zero))
        return OPS.int8_add(a, b, *grids, self.activation)


class Int8MaxPool(nn.Module):
    """``nn.MaxPool2d`` of square windows over an int8 image."""

    def __init__(self, kernel: int, stride: int, padding: int, *, ceil: bool):
        super().__init__()
        self.kernel, self.stride, self.padding, self.ceil = kernel, stride, padding, ceil

    def forward(self, x: Tensor) -> Tensor:
        return OPS.int8_max_pool(x, self.kernel, self.stride, self.padding, self.ceil)


class Int8Cat(nn.Module):
    """int8 images on one grid side by side; all but the last have whole quads of channels."""

    def forward(self, images: list[Tensor]) -> Tensor:
        return torch.cat(images, 1)

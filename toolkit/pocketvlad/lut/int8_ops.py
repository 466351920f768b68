"""The torch ops of int8 activations: ``pocketvlad::int8_from_float``, ``int8_to_float``, ``int8_conv2d``, ``int8_add``,
``int8_max_pool``; their bodies are :mod:`pocketvlad.lut.int8`, on any machine. Images are int8 [B, quads, H, W, 4].
"""

from __future__ import annotations

import torch
from torch import Tensor

from pocketvlad.lut import int8
from pocketvlad.lut.int8 import QUAD, Grid
from pocketvlad.lut.ops import define, lut_tensor

_CONV2D = (
    "Tensor x, Tensor packed, Tensor codebook, Tensor? row_scale, Tensor? bias, int bits, int layout, int channels, "
    "int out_channels, int[] kernel_size, int[] stride, int[] padding, int[] dilation, int groups, int activation, "
    "float in_scale, int in_zero, float out_scale, int out_zero"
)
_ADD = (
    "Tensor a, Tensor b, float a_scale, int a_zero, float b_scale, int b_zero, float out_scale, int out_zero, "
    "int activation"
)


def _from_float(x: Tensor, scale: float, zero: int) -> Tensor:
    return torch.from_numpy(int8.from_float(x.detach().cpu().numpy(), Grid(scale, zero)))


def _to_float(x: Tensor, channels: int, scale: float, zero: int) -> Tensor:
    return torch.from_numpy(int8.to_float(x.cpu().numpy(), channels, Grid(scale, zero)))


def _conv2d(
    x: Tensor,
    packed: Tensor,
    codebook: Tensor,
    row_scale: Tensor | None,
    bias: Tensor | None,
    bits: int,
    layout: int,
    channels: int,
    out_channels: int,
    kernel_size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    activation: int,
    in_scale: float,
    in_zero: int,
    out_scale: float,
    out_zero: int,
) -> Tensor:
    shape = (out_channels, channels // groups, *kernel_size)
    lut = lut_tensor(shape, packed, None, codebook, row_scale, bits, layout)
    top, left, bottom, right = padding
    y = int8.conv2d(
        x.cpu().numpy(),
        lut,
        None if bias is None else bias.detach().cpu().numpy(),
        Grid(in_scale, in_zero),
        Grid(out_scale, out_zero),
        stride=(stride[0], stride[1]),
        padding=(top, left, bottom, right),
        dilation=(dilation[0], dilation[1]),
        groups=groups,
        activation=activation,
    )
    return torch.from_numpy(y)


def _add(
    a: Tensor,
    b: Tensor,
    a_scale: float,
    a_zero: int,
    b_scale: float,
    b_zero: int,
    out_scale: float,
    out_zero: int,
    activation: int,
) -> Tensor:
    grids = Grid(a_scale, a_zero), Grid(b_scale, b_zero), Grid(out_scale, out_zero)
    found = int8.add(a.cpu().numpy(), grids[0], b.cpu().numpy(), grids[1], grids[2], activation=activation)
    return torch.from_numpy(found)


def _max_pool(x: Tensor, kernel: int, stride: int, padding: int, ceil: bool) -> Tensor:
    return torch.from_numpy(int8.max_pool(x.cpu().numpy(), kernel, stride, padding, ceil=ceil))


def _fake_from_float(x, scale, zero):  # the types are those of the schema
    batch, channels, height, width = x.shape
    return x.new_empty((batch, -(-channels // QUAD), height, width, QUAD), dtype=torch.int8)


def _fake_to_float(x, channels, scale, zero):
    return x.new_empty((x.shape[0], channels, *x.shape[2:4]), dtype=torch.float32)


def _fake_conv2d(
    x,
    packed,
    codebook,
    row_scale,
    bias,
    bits,
    layout,
    channels,
    out_channels,
    kernel_size,
    stride,
    padding,
    dilation,
    groups,
    activation,
    in_scale,
    in_zero,
    out_scale,
    out_zero,
):
    size = int8.convolved_size(x.shape[2:4], kernel_size, stride, padding, dilation)
    return x.new_empty((x.shape[0], -(-out_channels // QUAD), *size, QUAD))


def _fake_add(a, b, a_scale, a_zero, b_scale, b_zero, out_scale, out_zero, activation):
    return torch.empty_like(a)


def _fake_max_pool(x, kernel, stride, padding, ceil):
    size = [int8.pooled_size(each, kernel, stride, padding, ceil=ceil) for each in x.shape[2:4]]
    return x.new_empty((*x.shape[:2], *size, QUAD))


define("int8_from_float", "Tensor x, float scale, int zero", _from_float, _fake_from_float)
define("int8_to_float", "Tensor x, int channels, float scale, int zero", _to_float, _fake_to_float)
define("int8_conv2d", _CONV2D, _conv2d, _fake_conv2d)
define("int8_add", _ADD, _add, _fake_add)
define("int8_max_pool", "Tensor x, int kernel, int stride, int padding, bool ceil", _max_pool, _fake_max_pool)

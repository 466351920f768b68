"""The torch ops ``pocketvlad::lut_linear``, ``lut_conv2d`` and ``vlad_pool``: schemas, fakes, reference bodies.

The bodies here rebuild the weights and call :mod:`pocketvlad.lut.reference`: the oracle, on any machine and without a
compiler. The ExecuTorch adapter implements the ``.out`` overloads inside a program.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pocketvlad.errors import KernelError
from pocketvlad.lut import layouts, reference
from pocketvlad.lut.contract import NAMESPACE
from pocketvlad.lut.layouts import PackedLut
from pocketvlad.lut.reference import MaxPool
from pocketvlad.lut.tensor import LutTensor

_LUT_LINEAR = (
    "Tensor x, Tensor packed, Tensor? row_offsets, Tensor codebook, Tensor? row_scale, Tensor? bias, "
    "int bits, int layout, int block, int in_features, int out_features, bool fast, int activation"
)
_LUT_CONV2D = (
    "Tensor x, Tensor packed, Tensor codebook, Tensor? row_scale, Tensor? bias, int bits, int layout, "
    "int out_channels, int[] kernel_size, int[] stride, int[] padding, int[] dilation, int groups, "
    "bool fast, int activation, int[] pool"
)
_VLAD_POOL = (
    "Tensor x, Tensor packed, Tensor codebook, Tensor? row_scale, Tensor? bias, int bits, int layout, "
    "int clusters, Tensor centroids, Tensor centroid_scale, bool fast"
)
_library = torch.library.Library(NAMESPACE, "DEF")


def _array(tensor: Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.detach().cpu().numpy()


def _pair(values: list[int]) -> tuple[int, int]:
    return values[0], values[1]


def lut_tensor(
    shape: tuple[int, ...],
    packed: Tensor,
    row_offsets: Tensor | None,
    codebook: Tensor,
    row_scale: Tensor | None,
    bits: int,
    layout: int,
    block: int = 0,
) -> LutTensor:
    """The layer of an op's arguments; KernelError for a layout that packs no such shape."""
    kind = layouts.numbered(layout, block)
    if kind.number(shape) != layout:
        raise KernelError("a layer's layout is for another op", found=layout, allowed=kind.number(shape))
    layer = PackedLut(packed.detach().cpu().numpy(), _array(row_offsets))
    return LutTensor.from_packed(layer, shape, bits, codebook.detach().cpu().numpy(), _array(row_scale), kind)


def _lut_linear(
    x: Tensor,
    packed: Tensor,
    row_offsets: Tensor | None,
    codebook: Tensor,
    row_scale: Tensor | None,
    bias: Tensor | None,
    bits: int,
    layout: int,
    block: int,
    in_features: int,
    out_features: int,
    fast: bool,
    activation: int,
) -> Tensor:
    shape = (out_features, in_features)
    lut = lut_tensor(shape, packed, row_offsets, codebook, row_scale, bits, layout, block)
    flat = x.detach().cpu().numpy().reshape(-1, in_features)
    y = reference.lut_linear(flat, lut, _array(bias), fast=fast, activation=activation)
    return torch.from_numpy(y.reshape(*x.shape[:-1], out_features)).to(x.device)


def _lut_conv2d(
    x: Tensor,
    packed: Tensor,
    codebook: Tensor,
    row_scale: Tensor | None,
    bias: Tensor | None,
    bits: int,
    layout: int,
    out_channels: int,
    kernel_size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    fast: bool,
    activation: int,
    pool: list[int],
) -> Tensor:
    shape = (out_channels, x.shape[1] // groups, *kernel_size)
    lut = lut_tensor(shape, packed, None, codebook, row_scale, bits, layout)
    y = reference.lut_conv2d(
        x.detach().cpu().numpy(),
        lut,
        _array(bias),
        stride=_pair(stride),
        padding=_pair(padding),
        dilation=_pair(dilation),
        groups=groups,
        fast=fast,
        activation=activation,
        pool=MaxPool.of(pool),
    )
    return torch.from_numpy(y).to(x.device)


def _vlad_pool(
    x: Tensor,
    packed: Tensor,
    codebook: Tensor,
    row_scale: Tensor | None,
    bias: Tensor | None,
    bits: int,
    layout: int,
    clusters: int,
    centroids: Tensor,
    centroid_scale: Tensor,
    fast: bool,
) -> Tensor:
    shape = (clusters, x.shape[1], 1, 1)
    lut = lut_tensor(shape, packed, None, codebook, row_scale, bits, layout)
    features = x.detach().cpu().numpy()
    scale = centroid_scale.detach().cpu().numpy()
    y = reference.vlad_pool(features, lut, _array(bias), centroids.detach().cpu().numpy(), scale, fast=fast)
    return torch.from_numpy(y).to(x.device)


def _fake_linear(
    x,
    packed,
    row_offsets,
    codebook,
    row_scale,
    bias,
    bits,
    layout,
    block,
    in_features,
    out_features,
    fast,
    activation,
):  # the types are those of the schema
    return x.new_empty((*x.shape[:-1], out_features))


def _fake_conv2d(
    x,
    packed,
    codebook,
    row_scale,
    bias,
    bits,
    layout,
    out_channels,
    kernel_size,
    stride,
    padding,
    dilation,
    groups,
    fast,
    activation,
    pool,
):
    window = MaxPool.of(pool)

    def size(axis: int) -> int:
        span = dilation[axis] * (kernel_size[axis] - 1) + 1
        convolved = (x.shape[2 + axis] + 2 * padding[axis] - span) // stride[axis] + 1
        return convolved if window is None else window.size(convolved)

    return x.new_empty((x.shape[0], out_channels, size(0), size(1)))


def _fake_vlad_pool(
    x, packed, codebook, row_scale, bias, bits, layout, clusters, centroids, centroid_scale, fast
):
    return x.new_empty((x.shape[0], clusters * x.shape[1]))


def define(name: str, arguments: str, body: Callable[..., Tensor], fake: Callable[..., Tensor]) -> None:
    """Register the functional overload, its ``.out`` twin and its shape function."""

    def out_body(*args, out, **kwargs):
        result = body(*args, **kwargs)
        return out.resize_(result.shape).copy_(result)

    _library.define(f"{name}({arguments}) -> Tensor")
    _library.define(f"{name}.out({arguments}, *, Tensor(a!) out) -> Tensor(a!)")
    _library.impl(name, body, "CompositeExplicitAutograd")
    _library.impl(f"{name}.out", out_body, "CompositeExplicitAutograd")
    torch.library.register_fake(f"{NAMESPACE}::{name}", fake, lib=_library)


define("lut_linear", _LUT_LINEAR, _lut_linear, _fake_linear)
define("lut_conv2d", _LUT_CONV2D, _lut_conv2d, _fake_conv2d)
define("vlad_pool", _VLAD_POOL, _vlad_pool, _fake_vlad_pool)

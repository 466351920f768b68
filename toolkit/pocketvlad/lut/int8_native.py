"""The kernels of :mod:`pocketvlad.lut.int8` from Python; what they check is what the C core checks."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from pocketvlad.lut.int8 import QUAD, Grid
from pocketvlad.lut.native import CGrid, CInt8Conv, CInt8Pool, c_lut, check, kernels
from pocketvlad.lut.tensor import LutTensor

_I32 = ctypes.c_int32
_STEP = 8  # PV_CONV_STEP


def _grid(grid: Grid) -> CGrid:
    return CGrid(grid.scale, grid.zero)


def from_float(x: np.ndarray, grid: Grid) -> np.ndarray:
    """:func:`pocketvlad.lut.int8.from_float` by the kernels."""
    x = np.ascontiguousarray(x, np.float32)
    batch, channels, height, width = x.shape
    quads = -(-channels // QUAD)
    y = np.empty((batch, quads, height, width, QUAD), np.int8)
    _convert(kernels().pv_i8_from_float, x, y, (channels, height * width, quads), grid)
    return y


def to_float(x: np.ndarray, channels: int, grid: Grid) -> np.ndarray:
    """:func:`pocketvlad.lut.int8.to_float` by the kernels."""
    x = np.ascontiguousarray(x)
    batch, quads, height, width, _ = x.shape
    y = np.empty((batch, channels, height, width), np.float32)
    _convert(kernels().pv_i8_to_float, x, y, (channels, height * width, quads), grid)
    return y


def _convert(
    kernel: Callable[..., int], x: np.ndarray, y: np.ndarray, size: tuple[int, int, int], grid: Grid
) -> None:
    """Every image from x to y; ``size``: channels, pixels and quads of one."""
    channels, pixels, quads = size
    for image, out in zip(x, y, strict=True):
        check(kernel(image.ctypes.data, channels, pixels, _grid(grid), out.ctypes.data, 0, quads))


def convolution(
    x: np.ndarray,
    lut: LutTensor,
    source: Grid,
    out: Grid,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> CInt8Conv:
    """The C view of a convolution over images int8 [B, quads, H, W, 4]."""
    pair, four = _I32 * 2, _I32 * 4
    channels, kernel = lut.shape[1] * groups, pair(*lut.shape[2:])
    geometry = (kernel, pair(*stride), pair(*dilation), four(*padding), groups)
    return CInt8Conv(channels, *x.shape[2:4], *geometry, _grid(source), _grid(out))


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
    """:func:`pocketvlad.lut.int8.conv2d` by the kernels, the output channels in two ranges where there are enough."""
    x = np.ascontiguousarray(x)
    conv = convolution(x, lut, source, out, stride=stride, padding=padding, dilation=dilation, groups=groups)
    view, core = c_lut(lut, bias, activation), kernels()
    check(core.pv_i8_conv_check(view, conv))
    size = (_I32 * 2)()
    core.pv_i8_conv_out_size(conv, size)
    scratch = np.empty(core.pv_i8_conv_scratch_bytes(view, conv), np.uint8)
    worker = np.empty(core.pv_i8_conv_worker_bytes(view, conv), np.uint8)
    y = np.empty((len(x), -(-lut.rows // QUAD), *size, QUAD), np.int8)
    check(core.pv_i8_conv_prepare(view, conv, scratch.ctypes.data))
    middle = lut.rows // 2 // _STEP * _STEP
    for image, result in zip(x, y, strict=True):
        count = core.pv_i8_conv_planes_count(view, conv)
        core.pv_i8_conv_planes(view, conv, image.ctypes.data, scratch.ctypes.data, 0, count)
        for begin, end in ((0, middle), (middle, lut.rows)):
            check(
                core.pv_i8_conv_rows(
                    view,
                    conv,
                    image.ctypes.data,
                    scratch.ctypes.data,
                    worker.ctypes.data,
                    result.ctypes.data,
                    begin,
                    end,
                )
            )
    return y


def add(
    a: np.ndarray, a_grid: Grid, b: np.ndarray, b_grid: Grid, out: Grid, *, activation: int = 0
) -> np.ndarray:
    """:func:`pocketvlad.lut.int8.add` by the kernels."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    y = np.empty_like(a)
    grids = _grid(a_grid), _grid(b_grid), _grid(out)
    check(
        kernels().pv_i8_add(
            a.ctypes.data,
            grids[0],
            b.ctypes.data,
            grids[1],
            grids[2],
            activation,
            a.size,
            y.ctypes.data,
        )
    )
    return y


def max_pool(x: np.ndarray, kernel: int, stride: int, padding: int, *, ceil: bool) -> np.ndarray:
    """:func:`pocketvlad.lut.int8.max_pool` by the kernels."""
    x = np.ascontiguousarray(x)
    pool, core, size = CInt8Pool(*x.shape[1:4], kernel, stride, padding, ceil), kernels(), (_I32 * 2)()
    check(core.pv_i8_pool_check(pool))
    core.pv_i8_pool_out_size(pool, size)
    worker = np.empty(core.pv_i8_pool_worker_bytes(pool), np.uint8)
    y = np.empty((*x.shape[:2], *size, QUAD), np.int8)
    for image, out in zip(x, y, strict=True):
        check(
            core.pv_i8_max_pool(pool, image.ctypes.data, worker.ctypes.data, out.ctypes.data, 0, x.shape[1])
        )
    return y

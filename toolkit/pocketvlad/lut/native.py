"""The lookup kernels from Python: NumPy-friendly calls.

The calls check nothing that the C core does not check; they are what tests, benchmarks and NumPy users need.
Programs and modules reach the same kernels through the ops of :mod:`pocketvlad.lut.ops`.
"""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np

from pocketvlad.core.native import core
from pocketvlad.errors import KernelError
from pocketvlad.lut.reference import MaxPool
from pocketvlad.lut.tensor import LutTensor

_P, _I32, _I64, _SIZE = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64, ctypes.c_size_t


class CLut(ctypes.Structure):
    """``pv_lut`` of lut.h."""

    _fields_ = [
        ("packed", _P),
        ("packed_bytes", _SIZE),
        ("row_offsets", _P),
        ("codebook", _P),
        ("row_scale", _P),
        ("bias", _P),
        *[(name, _I32) for name in ("bits", "groups", "rows", "cols", "layout", "block", "activation")],
    ]


class CConv(ctypes.Structure):
    """``pv_conv`` of lut.h."""

    _fields_ = [
        *[(name, _I32) for name in ("channels", "height", "width")],
        *[(name, _I32 * 2) for name in ("kernel", "stride", "padding", "dilation")],
        *[(name, _I32) for name in ("groups", "pool", "pool_stride", "pool_ceil")],
    ]


class CVlad(ctypes.Structure):
    """``pv_vlad`` of lut.h."""

    _fields_ = [
        ("centroids", _P),
        ("centroid_scale", _P),
        *[(name, _I32) for name in ("clusters", "dims", "locations")],
    ]


class CGrid(ctypes.Structure):
    """``pv_i8_grid`` of int8.h."""

    _fields_ = [("scale", ctypes.c_float), ("zero", _I32)]


class CInt8Conv(ctypes.Structure):
    """``pv_i8_conv`` of int8.h."""

    _fields_ = [
        *[(name, _I32) for name in ("channels", "height", "width")],
        *[(name, _I32 * 2) for name in ("kernel", "stride", "dilation")],
        ("padding", _I32 * 4),
        ("groups", _I32),
        ("source", CGrid),
        ("out", CGrid),
    ]


class CInt8Pool(ctypes.Structure):
    """``pv_i8_pool`` of int8.h."""

    _fields_ = [(name, _I32) for name in ("quads", "height", "width", "kernel", "stride", "padding", "ceil")]


class CAttention(ctypes.Structure):
    """``pv_attention`` of attention.h."""

    _fields_ = [*[(name, _I32) for name in ("tokens", "heads", "dims")], ("scale", ctypes.c_float)]


_LUT, _CONV, _VLAD = ctypes.POINTER(CLut), ctypes.POINTER(CConv), ctypes.POINTER(CVlad)
_ATTENTION = ctypes.POINTER(CAttention)
_GRID, _CONV8, _POOL8 = ctypes.POINTER(CGrid), ctypes.POINTER(CInt8Conv), ctypes.POINTER(CInt8Pool)
_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "pv_error_text": (ctypes.c_char_p, [ctypes.c_int]),
    "pv_lut_check": (ctypes.c_int, [_LUT]),
    "pv_lut_linear_scratch_bytes": (_SIZE, [_LUT, _I64, ctypes.c_int]),
    "pv_lut_linear_worker_bytes": (_SIZE, [_LUT, _I64, ctypes.c_int]),
    "pv_lut_linear_prepare": (ctypes.c_int, [_LUT, _P, _I64, ctypes.c_int, _P]),
    "pv_lut_linear_rows": (ctypes.c_int, [_LUT, _I64, ctypes.c_int, _P, _P, _P, _I32, _I32]),
    "pv_conv_check": (ctypes.c_int, [_LUT, _CONV]),
    "pv_conv_out_size": (None, [_CONV, _I32 * 2]),
    "pv_lut_conv2d_scratch_bytes": (_SIZE, [_LUT, _CONV, ctypes.c_int]),
    "pv_lut_conv2d_worker_bytes": (_SIZE, [_LUT, _CONV, ctypes.c_int]),
    "pv_lut_conv2d_prepare": (ctypes.c_int, [_LUT, _CONV, _P, ctypes.c_int, _P]),
    "pv_lut_conv2d_rows": (ctypes.c_int, [_LUT, _CONV, ctypes.c_int, _P, _P, _P, _I32, _I32]),
    "pv_vlad_check": (ctypes.c_int, [_LUT, _VLAD]),
    "pv_vlad_pool_scratch_bytes": (_SIZE, [_LUT, _VLAD, ctypes.c_int]),
    "pv_vlad_pool": (ctypes.c_int, [_LUT, _VLAD, _P, ctypes.c_int, _P, _P]),
    "pv_attention_check": (ctypes.c_int, [_ATTENTION]),
    "pv_attention_parts": (_I32, [_ATTENTION]),
    "pv_attention_worker_bytes": (_SIZE, [_ATTENTION]),
    "pv_attention_rows": (ctypes.c_int, [_ATTENTION, _P, _P, _P, _I32, _I32]),
    "pv_layer_norm": (ctypes.c_int, [_P, _I32, _P, _P, ctypes.c_float, _P, _I64, _I64]),
    "pv_i8_from_float": (ctypes.c_int, [_P, _I32, _SIZE, _GRID, _P, _I32, _I32]),
    "pv_i8_to_float": (ctypes.c_int, [_P, _I32, _SIZE, _GRID, _P, _I32, _I32]),
    "pv_i8_conv_check": (ctypes.c_int, [_LUT, _CONV8]),
    "pv_i8_conv_out_size": (None, [_CONV8, _I32 * 2]),
    "pv_i8_conv_scratch_bytes": (_SIZE, [_LUT, _CONV8]),
    "pv_i8_conv_worker_bytes": (_SIZE, [_LUT, _CONV8]),
    "pv_i8_conv_prepare": (ctypes.c_int, [_LUT, _CONV8, _P]),
    "pv_i8_conv_planes_count": (_I32, [_LUT, _CONV8]),
    "pv_i8_conv_planes": (None, [_LUT, _CONV8, _P, _P, _I32, _I32]),
    "pv_i8_conv_rows": (ctypes.c_int, [_LUT, _CONV8, _P, _P, _P, _P, _I32, _I32]),
    "pv_i8_add": (ctypes.c_int, [_P, _GRID, _P, _GRID, _GRID, _I32, _SIZE, _P]),
    "pv_i8_pool_check": (ctypes.c_int, [_POOL8]),
    "pv_i8_pool_out_size": (None, [_POOL8, _I32 * 2]),
    "pv_i8_pool_worker_bytes": (_SIZE, [_POOL8]),
    "pv_i8_max_pool": (ctypes.c_int, [_POOL8, _P, _P, _P, _I32, _I32]),
}


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Give the functions of lut.h their argument and result types."""
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@cache
def kernels() -> ctypes.CDLL:
    """The C core with the lookup kernels declared; errors as :func:`pocketvlad.core.native.core`."""
    return declare(core())


def check(error: int) -> None:
    """Raise the KernelError that a negative result of the core stands for."""
    if error:
        raise KernelError(
            "a lookup kernel refuses its arguments", found=kernels().pv_error_text(error).decode()
        )


def _pointer(array: np.ndarray | None) -> int | None:
    return None if array is None else array.ctypes.data


def c_lut(lut: LutTensor, bias: np.ndarray | None = None, activation: int = 0) -> CLut:
    """The C view of a layer; it keeps alive what it points to, and copies what is not contiguous."""
    packed = np.ascontiguousarray(lut.packed.packed)
    codebook = np.ascontiguousarray(lut.codebook)
    offsets = lut.packed.row_offsets
    view = CLut(
        _pointer(packed),
        packed.nbytes,
        _pointer(offsets),
        _pointer(codebook),
        _pointer(lut.row_scale),
        _pointer(bias),
        lut.bits,
        lut.groups,
        lut.rows,
        lut.columns,
        lut.layout.number(lut.shape),
        lut.layout.parameter,
        activation,
    )
    view.kept = (packed, codebook, offsets, lut.row_scale, bias)  # type: ignore[attr-defined]
    return view


def lut_linear(
    x: np.ndarray, lut: LutTensor, bias: np.ndarray | None = None, *, fast: bool = False, activation: int = 0
) -> np.ndarray:
    """:func:`pocketvlad.lut.reference.lut_linear` by the kernels: float32 [B, I] -> float32 [B, O]."""
    x = np.ascontiguousarray(x, np.float32)
    view, library = c_lut(lut, bias, activation), kernels()
    scratch = np.empty(library.pv_lut_linear_scratch_bytes(view, len(x), fast), np.uint8)
    worker = np.empty(library.pv_lut_linear_worker_bytes(view, len(x), fast), np.uint8)
    y = np.empty((len(x), lut.rows), np.float32)
    check(library.pv_lut_linear_prepare(view, _pointer(x), len(x), fast, _pointer(scratch)))
    check(
        library.pv_lut_linear_rows(
            view, len(x), fast, _pointer(scratch), _pointer(worker), _pointer(y), 0, lut.rows
        )
    )
    return y


def lut_conv2d(
    x: np.ndarray,
    lut: LutTensor,
    bias: np.ndarray | None = None,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    fast: bool = False,
    activation: int = 0,
    pool: MaxPool | None = None,
) -> np.ndarray:
    """:func:`pocketvlad.lut.reference.lut_conv2d` by the kernels: float32 [B, C, H, W] -> [B, O, H', W']."""
    x = np.ascontiguousarray(x, np.float32)
    pair = _I32 * 2
    kernel = pair(*lut.shape[2:])
    window = (0, 0, 0) if pool is None else pool.to_list()
    conv = CConv(*x.shape[1:], kernel, pair(*stride), pair(*padding), pair(*dilation), groups, *window)
    view, library = c_lut(lut, bias, activation), kernels()
    check(library.pv_conv_check(view, conv))
    size = pair()
    library.pv_conv_out_size(conv, size)
    scratch = np.empty(library.pv_lut_conv2d_scratch_bytes(view, conv, fast), np.uint8)
    worker = np.empty(library.pv_lut_conv2d_worker_bytes(view, conv, fast), np.uint8)
    y = np.empty((len(x), lut.rows, *size), np.float32)
    for image, out in zip(x, y, strict=True):
        check(library.pv_lut_conv2d_prepare(view, conv, _pointer(image), fast, _pointer(scratch)))
        check(
            library.pv_lut_conv2d_rows(
                view, conv, fast, _pointer(scratch), _pointer(worker), _pointer(out), 0, lut.rows
            )
        )
    return y


def vlad_pool(
    x: np.ndarray,
    assignment: LutTensor,
    bias: np.ndarray | None,
    centroids: np.ndarray,
    centroid_scale: np.ndarray,
    *,
    fast: bool = False,
) -> np.ndarray:
    """:func:`pocketvlad.lut.reference.vlad_pool` by the kernels: float32 [B, D, H, W] -> [B, K * D]."""
    x = np.ascontiguousarray(x, np.float32)
    centroids, scale = (
        np.ascontiguousarray(centroids, np.int8),
        np.ascontiguousarray(centroid_scale, np.float32),
    )
    clusters, dims = centroids.shape
    vlad = CVlad(_pointer(centroids), _pointer(scale), clusters, dims, x[0, 0].size)
    view, library = c_lut(assignment, bias), kernels()
    check(library.pv_vlad_check(view, vlad))
    scratch = np.empty(library.pv_vlad_pool_scratch_bytes(view, vlad, fast), np.uint8)
    y = np.empty((len(x), clusters * dims), np.float32)
    for image, out in zip(x, y, strict=True):
        check(library.pv_vlad_pool(view, vlad, _pointer(image), fast, _pointer(scratch), _pointer(out)))
    return y

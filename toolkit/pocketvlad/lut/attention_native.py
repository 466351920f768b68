"""The kernels of :mod:`pocketvlad.lut.attention` from Python; what they check is what the C core checks."""

from __future__ import annotations

import ctypes

import numpy as np

from pocketvlad.lut.native import CAttention, check, kernels


def attention(qkv: np.ndarray, heads: int, scale: float) -> np.ndarray:
    """:func:`pocketvlad.lut.attention.attention` by the kernels."""
    qkv = np.ascontiguousarray(qkv, np.float32)
    batch, tokens, width = qkv.shape
    call, library = CAttention(tokens, heads, width // (3 * heads), scale), kernels()
    check(library.pv_attention_check(call))
    worker = np.empty(library.pv_attention_worker_bytes(call), np.uint8)
    y = np.empty((batch, tokens, width // 3), np.float32)
    parts = library.pv_attention_parts(call)
    for sequence, out in zip(qkv, y, strict=True):
        for begin, end in ((0, parts // 2), (parts // 2, parts)):
            arguments = (sequence.ctypes.data, worker.ctypes.data, out.ctypes.data, begin, end)
            check(library.pv_attention_rows(call, *arguments))
    return y


def layer_norm(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, epsilon: float
) -> np.ndarray:
    """:func:`pocketvlad.lut.attention.layer_norm` by the kernels."""
    x = np.ascontiguousarray(x, np.float32)
    y = np.empty_like(x)
    arrays = [None if each is None else each.ctypes.data for each in (weight, bias)]
    rows = x.size // x.shape[-1]
    done = kernels().pv_layer_norm(
        x.ctypes.data, x.shape[-1], *arrays, ctypes.c_float(epsilon), y.ctypes.data, 0, rows
    )
    check(done)
    return y

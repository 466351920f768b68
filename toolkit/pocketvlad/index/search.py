"""Exact cosine search over an index, by the C core the app uses too."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pocketvlad.errors import IndexFormatError
from pocketvlad.index.types import PlaceIndex
from pocketvlad.lut import native


def search_index(
    index: PlaceIndex, descriptors: np.ndarray, k: int, *, threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The best matches of each query.

    Args:
        index: n photos.
        descriptors: float32 [Q, dim], unit rows.
        k: matches wanted; fewer come back when the index is smaller.
        threads: queries, or parts of the index for a single query, run side by side.

    Returns:
        rows int32 [Q, min(k, n)] and cosines float32 of that shape, best first, lower row first among equals.

    Raises:
        IndexFormatError: the descriptors have another dimension.
    """
    queries = np.ascontiguousarray(descriptors, np.float32)
    if queries.ndim != 2 or queries.shape[1] != index.dim:
        raise IndexFormatError(
            "descriptors do not fit the index",
            found=f"shape {queries.shape}",
            allowed=f"[queries, {index.dim}]",
        )
    k = min(k, len(index))
    if threads == 1:
        found = [_scan(index, query, k, 0, len(index)) for query in queries]
    else:
        with ThreadPoolExecutor(threads) as pool:  # ctypes releases the interpreter lock
            found = [_scan_in_parts(index, query, k, threads, pool) for query in queries]
    return np.stack([rows for rows, _ in found]), np.stack([cosines for _, cosines in found])


def _scan(
    index: PlaceIndex, query: np.ndarray, k: int, begin: int, end: int
) -> tuple[np.ndarray, np.ndarray]:
    rows, cosines = np.empty(k, np.int32), np.empty(k, np.float32)
    count = native.core().pv_search(
        ctypes.byref(index.c_index),
        ctypes.c_void_p(query.ctypes.data),
        k,
        ctypes.c_int64(begin),
        ctypes.c_int64(end),
        ctypes.c_void_p(rows.ctypes.data),
        ctypes.c_void_p(cosines.ctypes.data),
    )
    if count < 0:
        raise IndexFormatError("the search refuses its arguments", found=f"code {count}")
    return rows[:count], cosines[:count]


def _scan_in_parts(
    index: PlaceIndex, query: np.ndarray, k: int, threads: int, pool: ThreadPoolExecutor
) -> tuple[np.ndarray, np.ndarray]:
    edges = np.linspace(0, len(index), threads + 1).astype(int)
    parts = list(pool.map(lambda i: _scan(index, query, k, edges[i], edges[i + 1]), range(threads)))
    rows = np.concatenate([part[0] for part in parts])
    cosines = np.concatenate([part[1] for part in parts])
    order = np.lexsort((rows, -cosines))[:k]
    return rows[order], cosines[order]

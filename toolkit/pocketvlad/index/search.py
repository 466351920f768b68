"""Cosine search over an index, by the C core the app uses too."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from pocketvlad.core import native
from pocketvlad.errors import IndexFormatError
from pocketvlad.index.entries import Entry
from pocketvlad.index.types import PlaceIndex, encode_vectors

Found = tuple[np.ndarray, np.ndarray]  # rows int32 [Q, k], cosines float32 [Q, k]
Scan = Callable[[PlaceIndex, np.ndarray, int, int, int], Found]
_AT_ONCE = 256_000_000  # bytes of vectors in memory together
_SAME = (
    4e-3  # length of the difference: two descriptions of a photo by two machines, not two frames of a video
)
_P, _I32, _I64 = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64


def search_index(
    index: PlaceIndex, descriptors: np.ndarray, k: int, *, threads: int = 1, candidates: int | None = None
) -> Found:
    """The best matches of each query.

    Args:
        index: n photos.
        descriptors: float32 [Q, dim], unit rows.
        k: matches wanted, 1 or more; fewer come back when the index is smaller.
        threads: parts of the index searched side by side.
        candidates: rows that a first pass over sign bits keeps for exact scoring; None scores every row.
            Faster on large indexes, but a row whose signs mislead is missed.

    Returns:
        rows int32 [Q, min(k, n)] and cosines float32 of that shape, best first, lower row first among equals.

    Raises:
        IndexFormatError: the descriptors have another dimension or are not finite, or the index's vectors are
            damaged.
    """
    queries = np.ascontiguousarray(descriptors, np.float32)
    if queries.ndim != 2 or queries.shape[1] != index.dim:
        raise IndexFormatError(
            "descriptors do not fit the index",
            found=f"shape {queries.shape}",
            allowed=f"[queries, {index.dim}]",
        )
    if not np.isfinite(queries).all():
        raise IndexFormatError("a descriptor is not finite", do="check the program that made it")
    if k < 1 or threads < 1:
        raise IndexFormatError(
            "nothing to search for", found=f"k {k}, threads {threads}", allowed="1 or more"
        )
    k = min(k, len(index))
    scan = _scan_all if candidates is None else _by_signs(max(k, candidates))
    found, first = [], 0
    for part in index.parts:
        if candidates is not None:
            part.sign_bits  # noqa: B018  computed once, before the threads start
        for turn in _turns(part):
            rows, cosines = _scan_turn(scan, part, queries, k, threads, *turn)
            found.append((np.where(rows < 0, rows, rows + first).astype(np.int32), cosines))
        if len(part) < len(index):
            part.release()
        first += len(part)
    rows, cosines = _merge(found, k)
    if (rows < 0).any():
        raise IndexFormatError("the index holds vectors that are not numbers", do="build it again")
    return rows, cosines


def _turns(index: PlaceIndex) -> Iterator[tuple[int, int]]:
    """Rows of a part that are in memory together; those of a large file leave it afterwards."""
    row_bytes = index.dim * index.vectors.dtype.itemsize
    row_bytes += 0 if index.residuals is None else index.residuals.shape[1]
    rows = max(1, _AT_ONCE // row_bytes)
    for begin in range(0, len(index), rows):
        yield begin, min(begin + rows, len(index))


def _scan_turn(
    scan: Scan, index: PlaceIndex, queries: np.ndarray, k: int, threads: int, first: int, last: int
) -> Found:
    edges = [first + (last - first) * part // threads for part in range(threads + 1)]
    parts = [(begin, end) for begin, end in itertools.pairwise(edges) if begin < end]
    if len(parts) == 1:
        found = [scan(index, queries, k, *parts[0])]
    else:
        with ThreadPoolExecutor(threads) as pool:  # ctypes releases the interpreter lock
            found = list(pool.map(lambda part: scan(index, queries, k, *part), parts))
    if last - first < len(index):
        index.release()
    return _merge(found, k)


def are_themselves(index: PlaceIndex, rows: np.ndarray, descriptors: np.ndarray) -> np.ndarray:
    """Whether a match is the very photo that was asked about: the index holds its descriptor.

    Args:
        index: that was searched.
        rows: int32 [Q, k].
        descriptors: float32 [Q, dim] of the photos.

    Returns:
        bool [Q, k]; the descriptors are compared as the index stores them.
    """
    stored = index.rows(rows.reshape(-1)).descriptors().reshape(*rows.shape, index.dim)
    parts = encode_vectors(descriptors, index.vectors.dtype.name)
    entries = tuple(Entry("") for _ in descriptors)
    asked = PlaceIndex(*parts, entries, index.fingerprint).descriptors()
    return np.linalg.norm(stored - asked[:, None], axis=2) <= _SAME


@cache
def _core() -> ctypes.CDLL:
    library = native.core()
    library.pv_search_batch.argtypes = [_P, _P, _I64, _I32, _I64, _I64, _P, _P]
    library.pv_search_signs.argtypes = [_P, _P, _P, _I32, _I32, _I64, _I64, _P, _P]
    return library


def _scan_all(index: PlaceIndex, queries: np.ndarray, k: int, begin: int, end: int) -> Found:
    rows, cosines = _outputs(queries, k)
    _check(
        _core().pv_search_batch(
            ctypes.byref(index.c_index),
            queries.ctypes.data,
            len(queries),
            k,
            begin,
            end,
            rows.ctypes.data,
            cosines.ctypes.data,
        )
    )
    return rows, cosines


def _by_signs(candidates: int) -> Scan:
    def scan(index: PlaceIndex, queries: np.ndarray, k: int, begin: int, end: int) -> Found:
        signs = index.sign_bits
        rows, cosines = _outputs(queries, k)
        for query, row, cosine in zip(queries, rows, cosines, strict=True):
            _check(
                _core().pv_search_signs(
                    ctypes.byref(index.c_index),
                    signs.ctypes.data,
                    query.ctypes.data,
                    k,
                    candidates,
                    begin,
                    end,
                    row.ctypes.data,
                    cosine.ctypes.data,
                )
            )
        return rows, cosines

    return scan


def _outputs(queries: np.ndarray, k: int) -> Found:
    return np.empty((len(queries), k), np.int32), np.empty((len(queries), k), np.float32)


def _check(status: int) -> None:
    if status < 0:
        raise IndexFormatError("the search failed", found="no memory" if status == -2 else f"code {status}")


def _merge(parts: list[Found], k: int) -> Found:
    """The best k of the parts' own best; their unfilled places, cosine -infinity, sort last."""
    if len(parts) == 1:
        return parts[0]
    rows = np.concatenate([rows for rows, _ in parts], axis=1)
    cosines = np.concatenate([cosines for _, cosines in parts], axis=1)
    order = np.lexsort((rows, -cosines), axis=1)[:, :k]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(cosines, order, 1)

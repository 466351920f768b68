"""An index in the file format of faiss, written without faiss: an ``IndexFlatIP``, whose inner product is the cosine.

The layout is that of ``faiss/impl/index_write.cpp``, little-endian: ``IxFI``; int32 dim; int64 rows; two int64 without
meaning; a byte, trained; int32 metric, 0 for the inner product; uint64 values; the float32 rows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pocketvlad.artifact import atomic_path
from pocketvlad.index.types import PlaceIndex

_HEADER = struct.Struct("<4siqqq?iQ")
_FILLER = 1 << 20
_BLOCK = 4096  # rows in memory at a time


def write_faiss(out: Path | str, index: PlaceIndex, *, force: bool = False) -> None:
    """Write the vectors in the index's own order, int8 ones refined; ``faiss.read_index`` opens the file.

    Raises:
        ArtifactError: ``out`` exists or cannot be written.
    """
    count, dim = len(index), index.dim
    with atomic_path(out, force=force) as temporary, open(temporary, "wb") as file:
        file.write(_HEADER.pack(b"IxFI", dim, count, _FILLER, _FILLER, True, 0, count * dim))
        for block in _blocks(index):
            file.write(np.ascontiguousarray(block, "<f4").data)


def _blocks(index: PlaceIndex) -> Iterator[np.ndarray]:
    """float32 [at most _BLOCK, dim] each."""
    for first in range(0, len(index), _BLOCK):
        yield index.vectors_at(slice(first, first + _BLOCK))
        index.release()

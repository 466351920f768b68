"""Large arrays in files: what is not in use leaves the process's memory."""

from __future__ import annotations

import mmap
import tempfile
from typing import Any

import numpy as np

IN_MEMORY = 64_000_000  # bytes of an array; larger ones lie in a file


def room(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros, where they are many in a file that goes when nobody holds them."""
    if int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize <= IN_MEMORY:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype, "w+", shape=shape)


def release(*arrays: np.ndarray | None) -> None:
    """Let the pages of mapped arrays go; they are read from the file again when they are asked for.

    Small mappings stay as they are.
    """
    for array in arrays:
        mapping = None if array is None else _mapping(array)
        if mapping is not None and len(mapping) > IN_MEMORY and hasattr(mmap, "MADV_DONTNEED"):
            mapping.madvise(mmap.MADV_DONTNEED)


def _mapping(array: np.ndarray) -> mmap.mmap | None:
    """The shared mapping below views of it; a private one would lose what was written to it."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.mode == "c":
            return None
        base = base.base
    return base if isinstance(base, mmap.mmap) else None

"""Large arrays in files: what is not in use leaves the process's memory."""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pocketvlad.artifact import write_error

IN_MEMORY = 64_000_000  # bytes of an array; larger ones lie in a file
_PIECE = 1 << 24  # bytes written at once


def room(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros, where they are many in a file that goes when nobody holds them.

    Raises:
        ArtifactError: the disk has no room for the file, which is all there before anything is written to it.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.zeros(shape, dtype)
    try:
        with tempfile.TemporaryFile() as file:
            reserve(file, size)
            return np.memmap(file, dtype, "r+", shape=shape)
    except OSError as error:
        raise write_error(Path(tempfile.gettempdir()), error) from error


def reserve(file: BinaryIO, size: int) -> None:
    """Put ``size`` zeros behind what a file holds; written to, a hole ends the process by SIGBUS on a full disk.

    Raises:
        OSError: the disk has no room for them.
    """
    at = file.seek(0, os.SEEK_END)
    try:
        os.posix_fallocate(file.fileno(), at, size)
        return
    except AttributeError:  # macOS
        pass
    except OSError as error:
        if error.errno not in (
            errno.EINVAL,
            errno.ENOSYS,
            errno.ENOTSUP,
        ):  # this file system reserves nothing
            raise
    for done in range(0, size, _PIECE):
        file.write(bytes(min(_PIECE, size - done)))
    file.flush()


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

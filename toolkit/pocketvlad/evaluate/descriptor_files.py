"""Descriptors in files that others read: hloc's HDF5 layout, and NumPy's ``.npz``."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pocketvlad.artifact import atomic_path
from pocketvlad.errors import ArtifactError

DATASET = "global_descriptor"  # hloc's name
HDF5, NUMPY = (".h5", ".hdf5"), ".npz"


def require_descriptor_file(out: Path | str) -> None:
    """Raises ArtifactError unless ``out`` is named as a file of descriptors: said before long work."""
    suffix = Path(out).suffix.lower()
    if suffix not in (*HDF5, NUMPY):
        raise ArtifactError(
            f"descriptors are written as HDF5 or for NumPy, which {Path(out).name} does not say",
            found=suffix or "no suffix",
            allowed=" or ".join((*HDF5, NUMPY)),
        )
    if suffix in HDF5:
        import h5py  # noqa: F401  a runtime without it says so now


def write_descriptors(
    out: Path | str,
    names: Sequence[str],
    descriptors: Iterable[np.ndarray],
    *,
    half: bool = False,
    force: bool = False,
) -> None:
    """Write descriptors in the layout that the suffix of ``out`` says.

    ``.h5``, ``.hdf5``: an HDF5 group per photo with a dataset ``global_descriptor`` [dim], as hloc writes them.
    ``.npz``: ``names`` [n] and ``descriptors`` [n, dim]; ``numpy.load`` reads them.

    Args:
        out: the file.
        names: n photos, as the dataset calls them: paths from its folder, as in hloc.
        descriptors: float32 [dim], n of them.
        half: as float16, which hloc does by default.
        force: overwrite ``out``.

    Raises:
        ArtifactError: ``out`` exists, cannot be written or has another suffix.
    """
    require_descriptor_file(out)
    rows = (np.asarray(row, np.float16 if half else np.float32) for row in descriptors)
    with atomic_path(out, force=force) as temporary, temporary.open("r+b") as file:
        (_write_hdf5 if Path(out).suffix.lower() in HDF5 else _write_npz)(file, names, rows)


class _Disk(io.RawIOBase):
    """A file whose refusals wait until HDF5, which a full disk makes crash, is done with it."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.refused: OSError | None = None

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)  # type: ignore[attr-defined]

    def write(self, data: Any) -> int:
        if self.refused is None:
            try:
                return self._file.write(data)
            except OSError as error:
                self.refused = error
        return len(data)

    def seek(self, at: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(at, whence)

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)

    def flush(self) -> None:
        if self.refused is None:
            try:
                self._file.flush()
            except OSError as error:
                self.refused = error


def _write_hdf5(file: BinaryIO, names: Sequence[str], rows: Iterable[np.ndarray]) -> None:
    """Names keep their bytes."""
    import h5py

    disk = _Disk(file)
    try:
        with h5py.File(disk, "w") as written:
            for name, row in zip(names, rows, strict=True):
                if disk.refused is not None:
                    break
                written.create_group(os.fsencode(name)).create_dataset(DATASET, data=row)
    except (OSError, RuntimeError):
        if disk.refused is None:
            raise
    if disk.refused is not None:
        raise disk.refused


def _write_npz(file: BinaryIO, names: Sequence[str], rows: Iterable[np.ndarray]) -> None:
    """As ``numpy.savez`` writes it."""
    rows = iter(rows)
    first = next(rows)
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        with archive.open(_member("names"), "w", force_zip64=True) as target:
            np.lib.format.write_array(target, np.asarray(names, np.str_), allow_pickle=False)
        header = {"descr": first.dtype.str, "fortran_order": False, "shape": (len(names), len(first))}
        with archive.open(_member("descriptors"), "w", force_zip64=True) as target:
            np.lib.format.write_array_header_1_0(target, header)
            for row in chain([first], rows):
                target.write(row.tobytes())


def _member(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(f"{name}.npy")  # of 1980: the same descriptors are the same bytes


def read_descriptors(path: Path | str) -> dict[str, np.ndarray]:
    """Descriptors float32 [dim] of an hloc feature file by photo name; half precision is widened.

    Raises:
        ArtifactError: missing, damaged, or without descriptors.
    """
    import h5py

    found: dict[str, np.ndarray] = {}

    def visit(stored: str | bytes, item: object) -> None:
        name = os.fsdecode(stored)  # bytes where they are no UTF-8
        if isinstance(item, h5py.Dataset) and name.endswith(f"/{DATASET}"):
            found[name.removesuffix(f"/{DATASET}")] = np.asarray(item[()], np.float32).reshape(-1)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except (OSError, RuntimeError, TypeError, ValueError, KeyError) as error:
        raise ArtifactError(f"{path} is not a readable HDF5 file", found=str(error)) from error
    if not found:
        raise ArtifactError(f"{path} holds no {DATASET!r}", allowed="an hloc global-feature file")
    return found

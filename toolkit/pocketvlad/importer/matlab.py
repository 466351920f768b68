"""MATLAB ``.mat`` files, v5 and v7.3, as plain dictionaries, lists, strings and arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pocketvlad.errors import CheckpointError
from pocketvlad.importer.matlab5 import OPAQUE, V5, V73, DamagedError, is_mat, read_v5

_DEPTH = 32  # of groups and cells in each other
_SMALL, _RATIO = (
    64_000_000,
    1000,
)  # bytes that any array may have, and more where so much is stored, times that


def read_mat(path: Path) -> dict[str, Any]:
    """Every variable: struct -> dict, cell -> list (column order), char -> str, number -> array as in MATLAB.

    A matrix of characters is a list of its rows, padded with blanks as in the file. A struct array is a list of
    dictionaries; a class object becomes the string "a MATLAB class object".

    Raises:
        CheckpointError: not a ``.mat`` file, or damaged.
    """
    with path.open("rb") as file:
        head = file.read(len(V5))
    if not is_mat(head):
        raise CheckpointError(f"{path} is not a .mat file of version 5 or 7.3", found=repr(head))
    try:
        if head == V73:
            with h5py.File(path, "r") as file:
                return {name: _from_hdf5(file, _inside(file, name)) for name in file if name[0] != "#"}
        return read_v5(path)
    except Exception as error:  # HDF5 answers damage with many types
        raise CheckpointError(f"{path} is damaged", found=str(error) or type(error).__name__) from error


def _from_hdf5(file: h5py.File, item: h5py.Dataset | h5py.Group, depth: int = 0) -> Any:
    if depth > _DEPTH:
        raise DamagedError(f"groups and cells more than {_DEPTH} deep")
    kind = item.attrs.get("MATLAB_class", b"").decode()
    if "MATLAB_object_decode" in item.attrs or kind in ("function_handle", "FileWrapper__"):
        return OPAQUE
    if isinstance(item, h5py.Group):
        return {name: _from_hdf5(file, _inside(item, name), depth + 1) for name in item}
    if "MATLAB_empty" in item.attrs:
        return {"char": "", "cell": []}.get(kind, np.zeros((0, 0)))
    values = _values(item)
    if kind == "char":
        lines = [row.astype(np.uint16).tobytes().decode("utf-16-le") for row in np.atleast_2d(values.T)]
        return lines[0] if len(lines) == 1 else lines
    if values.dtype.kind == "O":  # references to the elements; HDF5 keeps MATLAB's axes reversed
        return [_from_hdf5(file, file[reference], depth + 1) for reference in values.reshape(-1)]
    return values.T


def _inside(group: h5py.Group, name: str) -> h5py.Dataset | h5py.Group:
    """A member of the file itself: a link to another file could read anything."""
    link = group.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise DamagedError(f"{name} is a link to something else")
    return group[name]


def _values(item: h5py.Dataset) -> np.ndarray:
    """A dataset that lies in the file and is not much larger than what is stored of it."""
    if item.is_virtual or item.external:
        raise DamagedError(f"{item.name} lies in another file")
    if item.nbytes > max(_SMALL, _RATIO * item.id.get_storage_size()):
        raise DamagedError(
            f"{item.name} has {item.nbytes:,} bytes, of which the file holds {item.id.get_storage_size():,}"
        )
    return np.asarray(item[()])

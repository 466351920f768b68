"""MATLAB ``.mat`` files, v5 and v7.3, as plain dictionaries, lists, strings and arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatlabOpaque, mat_struct

from pocketvlad.errors import CheckpointError

V5, V73 = b"MATLAB 5.0", b"MATLAB 7.3"
_OPAQUE = "a MATLAB class object"  # what neither SciPy nor h5py can read


def is_mat(head: bytes) -> bool:
    """Whether a file's first bytes are those of a ``.mat`` file of either format."""
    return head.startswith((V5, V73))


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
                return {name: _from_hdf5(file, file[name]) for name in file if not name.startswith("#")}
        values = loadmat(path, struct_as_record=False)
    except Exception as error:  # SciPy and HDF5 answer damage with many types
        raise CheckpointError(f"{path} is damaged", found=str(error) or type(error).__name__) from error
    return {name: _from_v5(value) for name, value in values.items() if not name.startswith("__")}


def _from_v5(value: Any) -> Any:
    if isinstance(value, MatlabOpaque):
        return _OPAQUE
    if isinstance(value, mat_struct):
        return {name: _from_v5(getattr(value, name)) for name in value._fieldnames}
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind in "US":
        return str(value.reshape(-1)[0]) if value.size == 1 else [str(line) for line in value.reshape(-1)]
    if value.dtype.kind != "O":
        return value
    items = [_from_v5(item) for item in value.reshape(-1, order="F")]
    structs = [isinstance(item, mat_struct) for item in value.reshape(-1, order="F")]
    return items[0] if len(items) == 1 and structs[0] else items


def _from_hdf5(file: h5py.File, item: h5py.Dataset | h5py.Group) -> Any:
    kind = item.attrs.get("MATLAB_class", b"").decode()
    if "MATLAB_object_decode" in item.attrs or kind in ("function_handle", "FileWrapper__"):
        return _OPAQUE
    if isinstance(item, h5py.Group):
        return {name: _from_hdf5(file, item[name]) for name in item}
    if "MATLAB_empty" in item.attrs:
        return {"char": "", "cell": []}.get(kind, np.zeros((0, 0)))
    values = item[()]
    if kind == "char":
        lines = [row.astype(np.uint16).tobytes().decode("utf-16-le") for row in np.atleast_2d(values.T)]
        return lines[0] if len(lines) == 1 else lines
    if values.dtype.kind == "O":  # references to the elements; HDF5 keeps MATLAB's axes reversed
        return [_from_hdf5(file, file[reference]) for reference in values.reshape(-1)]
    return values.T

"""Writers of ``.mat`` files, v5 through SciPy and v7.3 by hand as MATLAB lays them out in HDF5."""

import itertools
from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

_NUMBERS = itertools.count()  # of the elements of cells
MATLAB_NAMES = {"float32": "single", "float64": "double", "uint8": "uint8", "uint16": "char"}


def write_v5(path: Path, variables: dict) -> Path:
    """Dictionaries become structs, lists cells, strings chars, arrays matrices."""
    savemat(path, {name: _v5(value) for name, value in variables.items()}, do_compression=True)
    return path


def _v5(value):
    if isinstance(value, dict):
        return {name: _v5(item) for name, item in value.items()}
    if isinstance(value, list):
        cell = np.empty((1, len(value)), object)
        for i, item in enumerate(value):
            cell[0, i] = _v5(item)
        return cell
    return value


def write_v73(path: Path, variables: dict) -> Path:
    """The same in HDF5: axes reversed, cells as references into ``#refs#``, classes as attributes."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_group("#refs#")
        for name, value in variables.items():
            _v73(file, file, name, value)
    text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2024 HDF5 schema 1.00 ."
    with path.open("r+b") as stream:
        stream.write(text.ljust(116) + bytes(8) + b"\x00\x02IM")
    return path


def _v73(file, parent, name, value):
    if isinstance(value, dict):
        item = parent.create_group(name)
        item.attrs["MATLAB_class"] = np.bytes_("struct")
        for key, part in value.items():
            _v73(file, item, key, part)
    elif isinstance(value, list):
        references = np.empty((len(value), 1), h5py.ref_dtype)
        for i, part in enumerate(value):
            label = f"r{next(_NUMBERS)}"
            _v73(file, file["#refs#"], label, part)
            references[i, 0] = file["#refs#"][label].ref
        item = parent.create_dataset(name, data=references, dtype=h5py.ref_dtype)
        item.attrs["MATLAB_class"] = np.bytes_("cell")
    elif isinstance(value, str):
        item = parent.create_dataset(name, data=np.array([[ord(c)] for c in value], np.uint16))
        item.attrs["MATLAB_class"] = np.bytes_("char")
    else:
        array = np.atleast_2d(np.asarray(value))
        item = parent.create_dataset(name, data=array.T)
        item.attrs["MATLAB_class"] = np.bytes_(MATLAB_NAMES[array.dtype.name])

"""Ground truths that their authors pickled: containers, numbers and arrays are read, nothing in them is run."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import IO, Any

import numpy as np

from pocketvlad.errors import DatasetError

_CONTAINERS = {"set", "frozenset", "list", "dict", "tuple", "range", "xrange"}
_ALLOWED = {
    "builtins": _CONTAINERS | {"int", "float", "bool", "str", "bytes", "bytearray"},
    "numpy": {"ndarray", "dtype"},
    "_codecs": {"encode"},
}
_NUMPY_FACTORIES = {"multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer"}
_PLAIN = "builtins and numpy"


class _PlainUnpickler(pickle.Unpickler):
    """Refuses every class and function but the containers and arrays of a ground truth."""

    def find_class(self, module: str, name: str) -> Any:
        module = {"__builtin__": "builtins"}.get(module, module)
        inside = re.fullmatch(r"numpy\._?core\.(\w+)", module)
        factory = inside is not None and f"{inside[1]}.{name}" in _NUMPY_FACTORIES
        if not factory and name not in _ALLOWED.get(module, ()):
            raise pickle.UnpicklingError(f"{module}.{name}")
        return super().find_class(module, "range" if name == "xrange" else name)


def read_pickle(file: Path) -> Any:
    """The containers and arrays in a pickle.

    Raises:
        DatasetError: it is damaged, or names anything but those.
    """
    with file.open("rb") as stream:
        return _unpickled(file, stream)


def read_array(file: Path) -> np.ndarray:
    """The array of an ``.npy`` file; one of objects is a pickle inside and is read as such.

    Raises:
        DatasetError: it is damaged, or holds objects other than containers and arrays.
    """
    with file.open("rb") as stream:
        try:
            version = np.lib.format.read_magic(stream)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else _later_header
            shape, _, dtype = header(stream)
            if not dtype.hasobject:
                stream.seek(0)
                return np.lib.format.read_array(stream, allow_pickle=False)
        except Exception as error:  # a damaged header may raise anything
            raise DatasetError(f"{file} is not a NumPy array", found=_said(error), allowed=".npy") from error
        value = _unpickled(file, stream)
    if not isinstance(value, np.ndarray) or value.shape != shape:
        raise DatasetError(f"{file} is not the array that it says", found=type(value).__name__)
    return value


def read_archive(file: Path) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file by name, none of them of objects.

    Raises:
        DatasetError: it is damaged, or holds objects.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive}
    except Exception as error:  # a damaged archive may raise anything
        raise DatasetError(f"{file} is not a NumPy archive", found=_said(error), allowed=".npz") from error


def _later_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    return np.lib.format.read_array_header_2_0(stream)


def _unpickled(file: Path, stream: IO[bytes]) -> Any:
    try:
        return _PlainUnpickler(stream, encoding="latin1").load()
    except Exception as error:  # a damaged or hostile pickle may raise anything
        raise DatasetError(
            f"{file} is not a plain ground truth", found=_said(error), allowed=_PLAIN
        ) from error


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__

"""Ground truths that their authors pickled: containers, numbers and arrays are read, nothing in them is run."""

from __future__ import annotations

import io
import pickle
import struct
import sys
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from pocketvlad.errors import DatasetError
from pocketvlad.importer.arrays import NUMPY, PlainArray, PlainType

_ALLOWED = {
    "builtins": {"set", "frozenset", "list", "dict", "tuple", "int", "float", "bool", "str"},
    "_codecs": {"encode"},
}
_MOST = 10_000_000  # numbers that a range may stand for
_PLAIN = "builtins and numpy"


def _range(*numbers: int) -> range:
    found = range(*numbers)
    if len(found) > _MOST:
        raise pickle.UnpicklingError(f"a range of {len(found)} numbers")
    return found


def _bytes(*values: Any) -> bytes:
    """Of a text or of numbers; of one number it would be as many zeros."""
    return bytes(
        *(list(value) if isinstance(value, (list, tuple)) else _not_a_number(value) for value in values)
    )


def _not_a_number(value: Any) -> Any:
    if isinstance(value, int):
        raise pickle.UnpicklingError(f"{value} zeros")
    return value


_STANDING_IN: dict[str, Any] = {
    "builtins.range": _range,
    "builtins.xrange": _range,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytes,
    **NUMPY,
}


_Unpickler: Any = pickle._Unpickler


class _PlainUnpickler(_Unpickler):
    """Refuses every class and function but the containers and arrays of a ground truth, which it makes itself.

    Python's own and not the one in C: that one makes room for as many things as a few bytes say.
    """

    dispatch: ClassVar[dict[int, Any]] = dict(_Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        module = {"__builtin__": "builtins"}.get(module, module)
        if f"{module}.{name}" in _STANDING_IN:
            return _STANDING_IN[f"{module}.{name}"]
        if name not in _ALLOWED.get(module, ()):
            raise pickle.UnpicklingError(f"{module}.{name}")
        return super().find_class(module, name)

    def load_build(self) -> None:
        """State only of what has one: that of a class or function is everybody's."""
        if not isinstance(self.stack[-2], (PlainType, PlainArray)):
            raise pickle.UnpicklingError(f"the state of a {type(self.stack[-2]).__name__}")
        super().load_build()

    def load_bytearray8(self) -> None:
        """As many bytes as there are, and not room for as many as the file says."""
        (length,) = struct.unpack("<Q", self.read(8))
        data = self.read(min(length, sys.maxsize))
        if len(data) < length:
            raise pickle.UnpicklingError(f"a file that ends before {length} bytes")
        self.append(bytearray(data))

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


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
        return _PlainUnpickler(io.BytesIO(stream.read()), encoding="latin1").load()
    except Exception as error:  # a damaged or hostile pickle may raise anything
        raise DatasetError(
            f"{file} is not a plain ground truth", found=_said(error), allowed=_PLAIN
        ) from error


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__

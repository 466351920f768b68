"""NumPy's objects in a pickle, made by us: NumPy's own state takes memory that is not there, or ends the process."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np


class PlainType:
    """A NumPy type in a pickle: plain numbers, texts or objects."""

    def __init__(self, name: object, *_: object):
        self.dtype = np.dtype(str(name))
        if self.dtype.names is not None or self.dtype.subdtype is not None:
            raise pickle.UnpicklingError(f"the type {name}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, subtype, names, *_ = state
        if subtype is not None or names is not None:
            raise pickle.UnpicklingError("a type of several parts")
        if order in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(order)


class PlainArray(np.ndarray):
    """An array in a pickle. NumPy's own would read past values that are fewer than its shape says."""

    def __new__(cls, *_: object) -> PlainArray:
        return super().__new__(cls, 0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:  # type: ignore[override]
        _, shape, kind, fortran, values = state
        found = plain_array(values, kind, shape, "F" if fortran else "C")
        flat = list(found.reshape(-1)) if found.dtype.hasobject else found.tobytes()
        super().__setstate__((1, found.shape, found.dtype, False, flat))  # type: ignore[arg-type]


def plain_array(values: Any, kind: Any, shape: Any, order: Any = "C") -> np.ndarray:
    """The array of this shape whose values are bytes, or a list of objects."""
    if not isinstance(kind, PlainType) or not all(isinstance(side, int) and side >= 0 for side in shape):
        raise pickle.UnpicklingError("an array of no known type or shape")
    count = math.prod(shape)
    if kind.dtype.hasobject:
        if not isinstance(values, list) or len(values) != count:
            raise pickle.UnpicklingError("an array with values of another number than its shape")
        found = np.empty(count, object)
        for at, value in enumerate(values):
            found[at] = value
    else:
        data = values.encode("latin1") if isinstance(values, str) else bytes(memoryview(values))
        if len(data) != count * kind.dtype.itemsize:
            raise pickle.UnpicklingError("an array with values of another number than its shape")
        found = np.frombuffer(data, kind.dtype).copy()
    return found.reshape(shape, order="F" if order == "F" else "C")


def plain_scalar(kind: Any, value: Any) -> Any:
    return plain_array(value, kind, ())[()]


NUMPY: dict[str, Any] = {  # by the names that pickles have for them, of NumPy 1 and 2
    "numpy.ndarray": PlainArray,
    "numpy.dtype": PlainType,
    **{f"numpy.{core}.multiarray._reconstruct": PlainArray for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": plain_scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": plain_array for core in ("core", "_core")},
}

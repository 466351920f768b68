"""An ExecuTorch program in NumPy's terms: its methods, its inputs, a call. No torch, nor the runtime's own bindings."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad.core import native
from pocketvlad.errors import ArtifactError, KernelError
from pocketvlad.threads import MOST_THREADS

_P, _SIZE, _TEXT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
_MOST_DIMS = 8
_NAMES_BYTES = 65536  # of all methods' names; ours have seven
_NUMBERS = {
    "uint8": 0,
    "int8": 1,
    "int16": 2,
    "int32": 3,
    "int64": 4,
    "float16": 5,
    "float32": 6,
    "float64": 7,
    "bool": 11,
}
_NAMES = {number: name for name, number in _NUMBERS.items()}
_INVALID_ARGUMENT = 18
# The runtime has one pool of threads, which programs share: one call at a time in a process.
_one_at_a_time = threading.RLock()


class _CArray(ctypes.Structure):
    """``pv_array`` of adapters/program.cpp."""

    _fields_ = [
        ("data", _P),
        ("type", ctypes.c_int32),
        ("dims", ctypes.c_int32),
        ("sizes", ctypes.c_int32 * _MOST_DIMS),
    ]


@dataclass(frozen=True)
class Input:
    """What a method takes: a type of NumPy and a shape."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


@contextlib.contextmanager
def quiet_runtime() -> Iterator[None]:
    """The runtime logs its start and every change of threads to file descriptor 2; a user needs neither."""
    sys.stderr.flush()
    kept = os.dup(2)
    silence = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silence, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silence)


@cache
def _runtime() -> ctypes.CDLL:
    with quiet_runtime():
        library = native.executorch()
        library.pv_et_threads()  # makes the pool, which logs, now
    library.pv_et_error.restype, library.pv_et_error.argtypes = _TEXT, [ctypes.c_int]
    library.pv_et_set_threads.argtypes = [ctypes.c_uint32]
    library.pv_et_open.argtypes = [_TEXT, ctypes.POINTER(_P)]
    library.pv_et_close.restype, library.pv_et_close.argtypes = None, [_P]
    library.pv_et_methods.argtypes = [_P, _TEXT, _SIZE]
    library.pv_et_input.argtypes = [_P, _TEXT, _SIZE, ctypes.POINTER(_CArray)]
    library.pv_et_run.argtypes = [_P, _TEXT, ctypes.POINTER(_CArray), _SIZE, ctypes.POINTER(_CArray)]
    return library


def _error(status: int) -> str:
    return _runtime().pv_et_error(status).decode().removeprefix("Error::")


def set_threads(threads: int) -> None:
    """Size of the pool that every program of this process shares.

    Raises:
        KernelError: fewer than one, or more than :data:`pocketvlad.threads.MOST_THREADS`.
    """
    if not 1 <= threads <= MOST_THREADS:
        raise KernelError(
            "a program cannot have so many threads", found=threads, allowed=f"1 to {MOST_THREADS}"
        )
    runtime = _runtime()
    with _one_at_a_time, quiet_runtime():
        status = runtime.pv_et_set_threads(threads)
    if status:
        raise KernelError("the runtime's threads cannot be set", found=_error(status))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """The pool at one thread, then as it was."""
    before = _runtime().pv_et_threads()
    set_threads(1)
    try:
        yield
    finally:
        set_threads(before)


class LoadedProgram:
    """A program, mapped from its file. May be called from several threads: they take turns."""

    def __init__(self, path: Path | str):
        """Map ``path`` and load its method ``forward``.

        Raises:
            ArtifactError: not a program, damaged, or with an op the runtime lacks.
        """
        self.path = Path(path)
        if not self.path.is_file():
            raise ArtifactError(f"{path} does not exist")
        handle = _P()
        with _one_at_a_time, quiet_runtime():
            status = _runtime().pv_et_open(os.fsencode(self.path), ctypes.byref(handle))
        if status:
            raise ArtifactError(f"{path} is not a program this runtime can load", found=_error(status))
        self._handle = handle
        self._inputs: dict[str, tuple[Input, ...]] = {}
        weakref.finalize(self, _runtime().pv_et_close, handle)

    def methods(self) -> tuple[str, ...]:
        """Names of the methods, sorted."""
        buffer = ctypes.create_string_buffer(_NAMES_BYTES)
        self._check(_runtime().pv_et_methods(self._handle, buffer, _NAMES_BYTES), "its methods")
        return tuple(buffer.value.decode().splitlines())

    def inputs(self, method: str = "forward") -> tuple[Input, ...]:
        """What a method takes."""
        if method not in self._inputs:
            self._inputs[method] = tuple(self._read_inputs(method))
        return self._inputs[method]

    def _read_inputs(self, method: str) -> Iterator[Input]:
        array, number = _CArray(), 0
        while True:
            status = _runtime().pv_et_input(self._handle, method.encode(), number, ctypes.byref(array))
            if status == _INVALID_ARGUMENT:
                return
            self._check(status, f"input {number} of {method}")
            yield Input(_NAMES.get(array.type, f"type {array.type}"), tuple(array.sizes[: array.dims]))
            number += 1

    def run(self, inputs: Sequence[Any] = (), method: str = "forward") -> np.ndarray:
        """A method's first output, the caller's own.

        Args:
            inputs: an array for each input, of its type and shape.
            method: its name.

        Raises:
            ArtifactError: inputs of another number, type or shape, or the program fails.
        """
        arrays = [np.ascontiguousarray(each) for each in inputs]
        given = tuple(Input(array.dtype.name, array.shape) for array in arrays)
        if given != (taken := self.inputs(method)):
            raise ArtifactError(
                f"{self.path} takes other inputs",
                found=", ".join(map(str, given)) or "none",
                allowed=", ".join(map(str, taken)) or "none",
            )
        out, c_arrays = _CArray(), (_CArray * len(arrays))(*map(_c_array, arrays))
        with _one_at_a_time:
            status = _runtime().pv_et_run(
                self._handle, method.encode(), c_arrays, len(arrays), ctypes.byref(out)
            )
            self._check(status, method)
            return _copied(out)

    def _check(self, status: int, what: str) -> None:
        if status:
            raise ArtifactError(
                f"{self.path} cannot be run by this runtime", found=f"in {what}: {_error(status)}"
            )


def _c_array(array: np.ndarray) -> _CArray:
    sizes = (ctypes.c_int32 * _MOST_DIMS)(*array.shape)
    return _CArray(array.ctypes.data, _NUMBERS[array.dtype.name], array.ndim, sizes)


def _copied(array: _CArray) -> np.ndarray:
    if array.type not in _NAMES:
        raise ArtifactError(
            "the program gives numbers of a kind that NumPy lacks",
            found=f"ExecuTorch's type {array.type}",
            allowed=", ".join(_NAMES.values()),
        )
    dtype, shape = np.dtype(_NAMES[array.type]), tuple(array.sizes[: array.dims])
    size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(ctypes.string_at(array.data, size) if size else b"", dtype).reshape(shape).copy()

"""The loaded C library: compiled when it is not there yet, the same sources as on the phone.

What each part of it offers is declared where it is called: :mod:`pocketvlad.lut.native` the lookup kernels,
:mod:`pocketvlad.model.preprocess` photos, :mod:`pocketvlad.index.search` the search.
"""

from __future__ import annotations

import ctypes
import threading
from functools import cache

from pocketvlad.core import build
from pocketvlad.errors import KernelError

_register_lock = threading.Lock()


@cache
def core() -> ctypes.CDLL:
    """The C core, compiled if need be.

    Raises:
        MissingToolError: no compiler.
        KernelError: the core does not compile.
    """
    library = ctypes.CDLL(str(build.core_library()))
    library.pv_isa.restype = ctypes.c_char_p
    library.pv_isa_name.restype, library.pv_isa_name.argtypes = ctypes.c_char_p, [ctypes.c_int]
    library.pv_force_isa.argtypes = [ctypes.c_char_p]
    return library


@cache
def _executorch_ops() -> ctypes.CDLL:
    """Loads the ops into the runtime; a second registration would abort the process, hence the cache."""
    from executorch.extension.pybindings import portable_lib

    registered = set(portable_lib._get_operator_names())
    if "pocketvlad::lut_linear.out" in registered:
        raise KernelError("another library has registered pocketvlad's ops already")
    return ctypes.CDLL(str(build.executorch_library()))


def register_executorch_ops() -> None:
    """Make the lookup ops known to ExecuTorch's runtime in this process; later calls do nothing.

    Raises:
        MissingToolError: no compiler.
        KernelError: the adapter does not compile, or the ops were registered by someone else.
    """
    with _register_lock:
        _executorch_ops()


def isa_names() -> list[str]:
    """Instruction sets compiled in, best first."""
    names: list[str] = []
    while (name := core().pv_isa_name(len(names))) is not None:
        names.append(name.decode())
    return names


def isa() -> str:
    """The instruction set in use."""
    return core().pv_isa().decode()


def force_isa(name: str | None) -> bool:
    """Use one instruction set (None: the best again); false if this machine lacks it."""
    return core().pv_force_isa(None if name is None else name.encode()) == 0

"""The loaded C library: compiled when it is not there yet, the same sources as on the phone.

What each part of it offers is declared where it is called: :mod:`pocketvlad.lut.native` the lookup kernels,
:mod:`pocketvlad.model.preprocess` photos, :mod:`pocketvlad.index.search` the search, :mod:`pocketvlad.core.program`
the ExecuTorch programs.
"""

from __future__ import annotations

import ctypes
from functools import cache

from pocketvlad.core import build


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
def executorch() -> ctypes.CDLL:
    """ExecuTorch's runtime, which then knows the lookup ops; compiled if need be.

    Raises:
        MissingToolError: no compiler, or no executorch.
        KernelError: the adapters do not compile.
    """
    return ctypes.CDLL(str(build.executorch_library()))


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

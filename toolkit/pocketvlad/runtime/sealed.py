"""Programs (.pte) checked by our own code before the runtime, which follows every offset, sees them; and their seal.

The rules stand in docs/formats.md and in ``kernels/program``, which the app uses too.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import numpy as np

from pocketvlad.core import native
from pocketvlad.errors import ArtifactError

SEAL_BYTES = 32


@cache
def _core() -> ctypes.CDLL:
    library = native.core()
    library.pv_program_rule.restype = ctypes.c_char_p
    library.pv_program_check.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_int)]
    library.pv_program_seal.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    library.pv_xxh64.restype = ctypes.c_uint64
    library.pv_xxh64.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    return library


def broken_rule(data: np.ndarray) -> tuple[str | None, bool]:
    """The first rule a program breaks, and whether it carries a seal.

    Args:
        data: uint8 [bytes], contiguous.

    Returns:
        ``"6: every tensor ..."`` or None; false for a program of another maker, which is checked all the same but
        for its weights.
    """
    sealed = ctypes.c_int(0)
    rule = _core().pv_program_check(data.ctypes.data, data.size, ctypes.byref(sealed))
    return (_core().pv_program_rule(rule).decode() if rule else None), bool(sealed.value)


def check_program(path: Path) -> bool:
    """Refuse a file the runtime must not see.

    Returns:
        Whether it carries a seal, so that its weights are those that were written.

    Raises:
        ArtifactError: missing, unreadable, or it breaks a rule.
    """
    broken, sealed = broken_rule(_mapped(path))
    if broken is not None:
        raise ArtifactError(
            f"{path} is damaged or not a program", found=f"broken rule {broken}", do="export it again"
        )
    return sealed


def seal_program(path: Path) -> None:
    """Append the seal to a program just written.

    Raises:
        ArtifactError: it breaks a rule already.
    """
    data = _mapped(path)
    seal = (ctypes.c_uint8 * SEAL_BYTES)()
    _core().pv_program_seal(data.ctypes.data, data.size, seal)
    with path.open("ab") as file:
        file.write(bytes(seal))
    check_program(path)


def _mapped(path: Path) -> np.ndarray:
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist")
    try:
        return np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror or error}") from error

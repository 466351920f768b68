"""Code in a pickle, and where: looked at without running any of it, and without torch."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, ClassVar

_ZIP = b"PK\x03\x04"
_HEADERS = 3  # pickles before the content in torch's old format: magic number, protocol, machine
# what tensors, arrays and containers need
_SAFE = (
    "torch._utils.",
    "torch._tensor.",
    "torch.storage.",
    "torch.Size",
    "numpy.",
    "collections.",
    "_codecs.",
)
_STORAGE = "Storage"  # ends the names of torch's
_READ_BY_TORCH = ("torch", "numpy", "collections", "_codecs")  # modules of which it reads something
_BUILTINS = ("builtins", "__builtin__")  # in Python 3 and 2; of them torch reads these alone:
_PLAIN = ("bytearray", "set", "complex")
_Unpickler: Any = pickle._Unpickler


class Named:
    """Stands for anything a pickle names; takes whatever arguments and state it is given and does nothing."""

    name = ""
    inside: tuple[Any, ...] = ()

    def __new__(cls, *arguments: Any, **named: Any) -> Named:
        return object.__new__(cls)

    def __init__(self, *arguments: Any, **named: Any):
        self.inside = arguments

    def __setstate__(self, state: Any) -> None:
        self.inside = (state,)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Contents do not matter."""

    def append(self, item: Any) -> None:
        """Contents do not matter."""

    extend = add = append


class _Looker(_Unpickler):
    """Imports nothing: every global is a class of its own made here.

    Python's own unpickler and not the one in C: that one makes room for as many things as a few bytes say. So does this
    one for a bytearray, of which torch writes none this way.
    """

    dispatch: ClassVar[dict[int, Any]] = {**_Unpickler.dispatch}
    dispatch.pop(pickle.BYTEARRAY8[0])

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        return type(name.rpartition(".")[2], (Named,), {"name": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        """A tensor's storage, which is not looked at, or in torch's old format a module's class."""
        return pid[1] if pid[0] == "module" else None


class _CodeError(Exception):
    """Found, under this name."""


class _Finder(_Looker):
    """Stops at the first name that is surely code."""

    def find_class(self, module: str, name: str) -> Any:
        root = module.partition(".")[0]
        if root not in _READ_BY_TORCH and not (root in _BUILTINS and name in _PLAIN):
            raise _CodeError(f"{module}.{name}")
        return super().find_class(module, name)


def code_in(path: Path) -> str | None:
    """The first function or class that a file names and torch's own careful reader surely refuses.

    None where there is none or that cannot be told; torch, which reads the file then, refuses more.

    Args:
        path: a file of ``torch.save``, or any pickle.
    """
    try:
        _content(path, _Finder)
    except _CodeError as found:
        return str(found)
    except Exception:  # a damaged or hostile file may raise anything
        return None
    return None


def what_is_in(path: Path) -> Any:
    """A file's content with stand-ins for whatever is code; None where that cannot be told.

    Args:
        path: a file of ``torch.save`` that was refused.
    """
    try:
        return _content(path, _Looker)
    except Exception:  # a damaged or hostile file may raise anything; then there is nothing to name
        return None


def keys_of_code(content: Any) -> list[Any]:
    """The keys of a dictionary of :func:`what_is_in` whose values hold code."""
    if not isinstance(content, Mapping):
        return []
    return [key for key, value in content.items() if _holds_code(value, 0)]


def is_module(value: Any) -> bool:
    """Whether what a stand-in stands for was saved as torch's modules are, code and weights in one."""
    if not isinstance(value, Named):
        return False
    return any(isinstance(state, Mapping) and "_modules" in state for state in value.inside)


def _content(path: Path, looker: type[_Looker]) -> Any:
    with path.open("rb") as file:
        zipped = file.read(len(_ZIP)) == _ZIP
        file.seek(0)
        if not zipped:
            return _legacy(file, looker)
        with zipfile.ZipFile(file) as archive:
            name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            with archive.open(name) as content:
                return looker(content).load()


def _legacy(file: IO[bytes], looker: type[_Looker]) -> Any:
    for _ in range(_HEADERS):
        looker(file).load()
    return looker(file).load()


def _holds_code(value: Any, depth: int) -> bool:
    if isinstance(value, type):
        return issubclass(value, Named) and not _is_safe(value)
    if isinstance(value, Named):
        return not _is_safe(type(value)) or _holds_code(value.inside, depth)
    if depth > 20:
        return False
    inside = value.values() if isinstance(value, Mapping) else value
    if not isinstance(value, (Mapping, list, tuple, set)):
        return False
    return any(_holds_code(each, depth + 1) for each in inside)


def _is_safe(kind: type[Named]) -> bool:
    return kind.name.startswith(_SAFE) or kind.name.endswith(_STORAGE)

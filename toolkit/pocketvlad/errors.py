"""The errors of pocketvlad: each says in one line what failed, what was found, what is allowed, what to do."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import wraps
from typing import ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class PocketvladError(Exception):
    """Base of every error a user can cause.

    Args:
        what: what failed, in the user's terms (names the file or the option).
        found: what was found instead, if that helps.
        allowed: what would have been accepted.
        do: the next step, preferably a command.
    """

    def __init__(self, what: str, *, found: object = None, allowed: object = None, do: str | None = None):
        self.what, self.found, self.allowed, self.do = what, found, allowed, do
        super().__init__(self._line())

    def _line(self) -> str:
        parts = [self.what]
        if self.found is not None:
            parts.append(f"found {self.found}")
        if self.allowed is not None:
            parts.append(f"allowed: {self.allowed}")
        if self.do is not None:
            parts.append(self.do)
        return printable(" ".join("; ".join(parts).split()))


def reason(error: Exception) -> str:
    """What the system says without its number and the file's name, which the line has already; else all it says."""
    return getattr(error, "strerror", None) or str(error)


def printable(text: str) -> str:
    """Text that a terminal shows as it is and does nothing else with.

    Bytes of a file name that are no UTF-8 become U+FFFD; control characters, ends of line and marks that turn the
    direction of writing become their escapes (``\\x1b``, ``\\u202e``).
    """
    sound = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if sound.isascii() and sound.isprintable():
        return sound
    return "".join(_escaped(letter) if _acts(letter) else letter for letter in sound)


def _acts(letter: str) -> bool:
    return unicodedata.category(letter) in _ACTING or letter in _DIRECTIONS


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


_ACTING = ("Cc", "Zl", "Zp")  # controls, ends of line and of paragraph
_DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def did_you_mean(found: str, names: Iterable[str]) -> str | None:
    """Advice to whoever mistyped one of ``names``; None where none is near."""
    known = {name.lower(): name for name in names}
    near = get_close_matches(found.lower(), known, 1)
    return f"did you mean {known[near[0]]!r}?" if near else None


def unknown(error: type[PocketvladError], what: str, found: object, names: Iterable[str]) -> PocketvladError:
    """An error about a name that is not one of ``names``, with the nearest of them.

    Args:
        error: its class.
        what: ``unknown recipe`` and the like.
        found: the name.
        names: that are allowed.
    """
    known = list(names)
    return error(what, found=repr(found), allowed=", ".join(known), do=did_you_mean(str(found), known))


class RecipeError(PocketvladError):
    """A recipe or plan file has an unknown key, a wrong type or a value out of range."""


class CheckpointError(PocketvladError):
    """A checkpoint is truncated, of an unknown layout, or holds code."""


class PhotoError(PocketvladError):
    """A photo cannot be decoded or has a shape no model can take."""


class DatasetError(PocketvladError):
    """A photo collection is missing, empty or inconsistent."""


class ArtifactError(PocketvladError):
    """A stage's file is missing, damaged, of another kind, exists already, or cannot be written."""


class IndexFormatError(PocketvladError):
    """A place index breaks a rule of its format or belongs to another model."""


class ExportError(PocketvladError):
    """A model cannot become an ExecuTorch program the phone runtime can run."""


class PackageError(PocketvladError):
    """An APK cannot be built, signed or accepted."""


class PhoneError(PocketvladError):
    """A phone, real or emulated, did not do what was asked."""


class MissingToolError(PocketvladError):
    """A program this machine lacks: names it and the command that installs it."""


class KernelError(PocketvladError):
    """A kernel library cannot be built or loaded, or refuses its arguments."""


_ALWAYS = ("numpy", "PIL", "typer", "rich")  # pocketvlad's own dependencies; the others come with an extra


def missing_package(error: ModuleNotFoundError) -> Exception:
    """What to say of a Python package that is not installed: which extra brings it; other errors as they are."""
    package = (error.name or "").partition(".")[0]
    if package in ("", "pocketvlad", *_ALWAYS):
        return error
    extra = "runtime" if package == "executorch" else "workstation"
    return MissingToolError(
        f"the Python package {package} is missing", do=f"pip install 'pocketvlad[{extra}]'"
    )


def of_the_workstation(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """A function that imports torch, or another package that a runtime does without, when it is called."""

    @wraps(function)
    def call(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
        try:
            return function(*arguments, **named)
        except ModuleNotFoundError as error:
            raise missing_package(error) from error

    return call

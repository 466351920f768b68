"""The errors of pocketvlad: each says in one line what failed, what was found, what is allowed, what to do."""

from __future__ import annotations


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


def printable(text: str) -> str:
    """Text that any UTF-8 output takes: bytes of a file name that are no UTF-8 become U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


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

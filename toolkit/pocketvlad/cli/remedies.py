"""What the library advises, in the command line's own options; what the system refuses, in a line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from pocketvlad.errors import ArtifactError, PocketvladError, missing_package

_NO_MEMORY = "DefaultCPUAllocator"  # in what torch says then, a RuntimeError
_NO_THREAD = "can't start new thread"  # what Python says then, a RuntimeError

# Options that name a file, one of which a remedy speaks of: {option} is the one whose file the error names.
OUTPUTS = ("--out", "--draw", "--bundle", "--symbols", "--faiss", "--numpy")
KEYSTORES = {"--keystore": "--password", "--old-keystore": "--old-password"}  # to its {password}
# the library's words -> the command line's
REMEDIES = {
    "give it some": "add --photos KIND:PATH",
    "write elsewhere, or overwrite it by force": "choose another {option} or add --force",
    "write elsewhere": "choose another {option}",
    "write elsewhere, or throw it away by force": "choose another --out, or throw it away with --force",
    "replace them, or leave them out": "add --replace",
    "name one for the result": "add --out RESULT.json",
    "leave the layout out": "leave --layout out",
    "name one for faiss, NumPy or both": "add --faiss FILE, --numpy FILE or both",
    "give one photo or more for the self-test": "add --photos PHOTO",
    "choose one by its serial": "choose one with --serial",
    "check the password": "check {password}",
    "give more photos, more views of each, or fewer dimensions": (
        "give more photos, more --views per photo, or a smaller --dim"
    ),
}


def in_options(error: PocketvladError, words: Sequence[str] = ()) -> str:
    """The error's line, its remedy in the command line's options; ``words``: those of the command."""
    remedy = REMEDIES.get(error.do or "")
    if remedy is not None:
        password = KEYSTORES[_option(error, words, tuple(KEYSTORES))]
        remedy = remedy.format(option=_option(error, words, OUTPUTS), password=password)
    return str(PocketvladError(error.what, found=error.found, allowed=error.allowed, do=remedy or error.do))


def _option(error: PocketvladError, words: Sequence[str], options: Sequence[str]) -> str:
    """Which of ``options`` was given the file that an error is about; the first one where none was."""
    for word, following in pairwise([*words, ""]):
        name, joined, value = word.partition("=")
        if name in options and f" {Path(value if joined else following)} " in f" {error.what} ":
            return name
    return options[0]


def in_a_line(error: Exception) -> Exception:
    """What the system refused, or a package that is missing, as an error of ours; other errors as they are."""
    if isinstance(error, ModuleNotFoundError):
        return missing_package(error)
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        return ArtifactError(f"the system refuses{where}", found=error.strerror or str(error))
    if isinstance(error, MemoryError) or _NO_MEMORY in str(error):
        return ArtifactError(
            "the memory is not enough", do="take a smaller model, or fewer or smaller photos"
        )
    if _NO_THREAD in str(error):
        return ArtifactError("the system starts no more threads", do="end other programs, then run again")
    return error

"""What the library advises, in the command line's own options; what the system refuses, in a line."""

from __future__ import annotations

from pocketvlad.errors import ArtifactError, PocketvladError, missing_package

_NO_MEMORY = "DefaultCPUAllocator"  # in what torch says then, a RuntimeError
_NO_THREAD = "can't start new thread"  # what Python says then, a RuntimeError

# the library's words -> the command line's
REMEDIES = {
    "give it some": "add --photos KIND:PATH",
    "write elsewhere, or overwrite it by force": "choose another --out or add --force",
    "write elsewhere, or throw it away by force": "choose another --out, or throw it away with --force",
    "replace them, or leave them out": "add --replace",
    "name one for the result": "add --out RESULT.json",
    "leave the layout out": "leave --layout out",
    "check the password": "check --password",
    "give more photos, more views of each, or fewer dimensions": (
        "give more photos, more --views per photo, or a smaller --dim"
    ),
}


def in_options(error: PocketvladError) -> str:
    """The error's line, its remedy in the command line's options."""
    remedy = REMEDIES.get(error.do or "", error.do)
    return str(PocketvladError(error.what, found=error.found, allowed=error.allowed, do=remedy))


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

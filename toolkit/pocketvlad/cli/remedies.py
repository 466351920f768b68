"""What the library advises, in the command line's own options."""

from __future__ import annotations

from pocketvlad.errors import PocketvladError

# the library's words -> the command line's
REMEDIES = {
    "give it some": "add --photos KIND:PATH",
    "write elsewhere, or overwrite it by force": "choose another --out or add --force",
    "write elsewhere, or throw it away by force": "choose another --out, or throw it away with --force",
    "replace them, or leave them out": "add --replace",
    "name one for the result": "add --out RESULT.json",
    "check the password": "check --password",
    "give more photos, more views of each, or fewer dimensions": (
        "give more photos, more --views per photo, or a smaller --dim"
    ),
}


def in_options(error: PocketvladError) -> str:
    """The error's line, its remedy in the command line's options."""
    remedy = REMEDIES.get(error.do or "", error.do)
    return str(PocketvladError(error.what, found=error.found, allowed=error.allowed, do=remedy))

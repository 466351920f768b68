"""Files that a command writes: each another, and none of those that it reads."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pocketvlad.artifact import require_new
from pocketvlad.errors import ArtifactError


def require_outputs(
    outs: Iterable[Path | str | None], inputs: Iterable[Path | str | None] = (), *, force: bool
) -> None:
    """ArtifactError, said before long work.

    Args:
        outs: files to write, each as :func:`require_new` wants it; two of them are one, or one is read as well.
        inputs: what is read, files and others.
        force: overwrite ``outs``.
    """
    named = [Path(out) for out in outs if out is not None]
    require_distinct(named)
    for out in named:
        require_new(out, force=force)
    there = [out for out in named if os.path.exists(out)]
    for given in inputs if there else ():
        for out in there:
            if given is not None and os.path.exists(given) and os.path.samefile(given, out):
                raise ArtifactError(
                    f"{out} would be written over what it is made from", found=given, do="write elsewhere"
                )


def require_distinct(outs: Iterable[Path | str]) -> None:
    """ArtifactError where two outputs would be one file."""
    known: dict[str, Path | str] = {}
    for out in outs:
        before = known.setdefault(os.path.realpath(out), out)
        if before is not out:
            raise ArtifactError(f"{out} would be written twice", do="name a file for each output")

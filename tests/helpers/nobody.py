"""Commands by a user who may write nothing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from helpers import forked

NOBODY = 65534


def said(run, words: list[str], errors: Path, *more: str) -> str:
    """What a command says before it ends with 1, from a process of its own prepared by ``run``."""
    process = forked.start(run, words, str(errors), *more)
    process.join()
    assert process.exitcode == 1, process.exitcode
    return errors.read_text()


def as_nobody(words: list[str], errors: str, home: str) -> None:
    """By a user who may read all and write nothing but the errors, with a cache below ``home``."""
    Path(errors).touch()
    os.chmod(errors, 0o666)
    os.environ["XDG_CACHE_HOME"] = home
    if os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    forked.command(words, errors)


def readable_by_all(*paths: Path) -> None:
    """The paths and what is below them, and the folders above them."""
    for path in paths:
        for each in (path, *path.rglob("*")):
            os.chmod(each, os.stat(each).st_mode | 0o555)
        for each in path.parents:
            if each.is_relative_to(Path(tempfile.gettempdir())):
                os.chmod(each, os.stat(each).st_mode | 0o055)

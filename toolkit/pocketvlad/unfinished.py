"""Files and folders that are not whole yet. Their names say who writes them: a killed process's are taken away."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PART = re.compile(r"\.(?P<pid>\d+)\.\w+\.part")  # ends the name of an unfinished file or folder
PART_BYTES = 32  # that the names of unfinished files and of what is kept for the next run are longer, at most


def part_prefix(name: str) -> str:
    """How the name of an unfinished ``name`` begins: it says who is writing."""
    return f".{name}.{os.getpid()}."


def part_folder(out: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder beside ``out`` for what is to become it."""
    return tempfile.TemporaryDirectory(prefix=part_prefix(out.name), suffix=".part", dir=out.parent)


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Delete unfinished files and folders of processes that were killed; those of running ones stay.

    Args:
        folder: where they lie.
        name: of what was to be written; None: of anything.
    """
    wanted = "*" if name is None else glob.escape(name)
    for left in folder.glob(f".{wanted}.*.part"):
        match = _PART.search(left.name)
        if match is None or _is_running(int(match["pid"])):
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for what nobody keeps, gone afterwards; those that killed processes left go now."""
    root = Path(tempfile.gettempdir())
    with contextlib.suppress(OSError):  # of another user
        remove_leftovers(root, "pocketvlad")
    with tempfile.TemporaryDirectory(prefix=part_prefix("pocketvlad"), suffix=".part") as name:
        yield Path(name)

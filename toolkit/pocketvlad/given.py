"""Files that a command is given: ordinary ones, which end and do not wait for somebody to write."""

from __future__ import annotations

import os
from pathlib import Path

from pocketvlad.errors import PocketvladError


def require_ordinary(path: Path | str, error: type[PocketvladError]) -> None:
    """Raises ``error`` for a folder, device or pipe, and for a name that no file has; one that is missing passes."""
    if "\0" in str(path):
        raise error(f"{path} is not a file", found="a zero in its name")
    if os.path.exists(path) and not os.path.isfile(path):
        raise error(f"{path} is not a file", found=other_than_file(path), do="name an ordinary file")


def other_than_file(path: Path | str) -> str:
    """What lies there instead of a file, in words."""
    return "a folder" if os.path.isdir(path) else "a device or a pipe"

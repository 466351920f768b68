"""Things built once per content: a folder of the user's cache, filled atomically."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from pocketvlad.errors import ArtifactError


def cache_root() -> Path:
    """The user's cache folder for pocketvlad (``XDG_CACHE_HOME``, or the platform's habit)."""
    if "XDG_CACHE_HOME" in os.environ:
        return Path(os.environ["XDG_CACHE_HOME"]) / "pocketvlad"
    home = Path.home()
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "pocketvlad"


def content_key(files: Iterable[Path], *extra: str) -> str:
    """16 hex digits over the names and bytes of files and over options."""
    digest = hashlib.sha256("\0".join(extra).encode())
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def cached_folder(name: str, make: Callable[[Path], None]) -> Path:
    """``cache_root() / name``, made by ``make`` in a temporary folder that then takes its name.

    Raises:
        ArtifactError: the cache folder cannot be written.
    """
    folder = cache_root() / name
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            make(temporary)
            _name(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise ArtifactError(
            f"cannot fill the cache folder {folder.parent}",
            found=error.strerror or str(error),
            do="make room there, or set XDG_CACHE_HOME",
        ) from error
    return folder


def _name(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was first, with the same content
            raise

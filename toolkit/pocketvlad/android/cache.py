"""Things built once per content: a folder of the user's cache, filled atomically."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path


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
    """``cache_root() / name``, made by ``make`` in a temporary folder that then takes its name."""
    folder = cache_root() / name
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        make(temporary)
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first, with the same content
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder

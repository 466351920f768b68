"""Things built once per content: a folder of the user's cache, filled atomically."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from pocketvlad.artifact import atomic_path, file_sha256, write_bytes
from pocketvlad.errors import ArtifactError
from pocketvlad.schema import parse_json
from pocketvlad.unfinished import part_prefix, remove_leftovers

_SUMS = ".sha256.json"
_checked: set[Path] = set()  # in this process: nobody writes to a finished one


def cache_root() -> Path:
    """The user's cache folder for pocketvlad (``XDG_CACHE_HOME``, or the platform's habit).

    Raises:
        ArtifactError: neither that nor a home folder is set.
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():  # anything else counts as unset, as its specification says
        return named / "pocketvlad"
    try:
        home = Path.home()
    except RuntimeError as error:
        raise ArtifactError(
            "there is no folder for what is built once", found="no home folder", do="set XDG_CACHE_HOME"
        ) from error
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "pocketvlad"


def content_key(files: Iterable[Path], *extra: str) -> str:
    """16 hex digits over the names and bytes of files and over options."""
    digest = hashlib.sha256("\0".join(extra).encode())
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def cached_folder(name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made by ``make`` in a temporary folder that then takes its name.

    It keeps the hashes of its files; where they differ, the folder is made again.

    Raises:
        ArtifactError: the cache folder cannot be written.
    """
    folder = cache_root() / "folders" / name
    if folder in _checked:
        return folder
    _tidy(folder.parent)
    if _is_whole(folder):
        _checked.add(folder)
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=part_prefix(folder.name), suffix=".part", dir=folder.parent))
        try:
            make(temporary)
            (temporary / _SUMS).write_text(json.dumps(_sums(temporary)))
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


def cached_file(target: Path, make: Callable[[Path], None]) -> Path:
    """``target``, made by ``make`` where it is missing or not what was made: its hash is kept beside it."""
    kept = target.with_name(f"{target.name}.sha256")
    if target in _checked:
        return target
    _tidy(target.parent)
    if _is_as_made(target, kept):
        _checked.add(target)
        return target
    try:
        with atomic_path(target, force=True) as out:
            make(out)
            digest = file_sha256(out)
        write_bytes(kept, digest.encode(), force=True)
    except ArtifactError as error:
        raise ArtifactError(error.what, do="make room there, or set XDG_CACHE_HOME") from error
    return target


def _tidy(folder: Path) -> None:
    """What killed processes left goes, whatever it was to become: names hold hashes, and few come a second time."""
    with contextlib.suppress(OSError):  # a cache that is only read
        remove_leftovers(folder)


def _is_as_made(target: Path, kept: Path) -> bool:
    try:
        return _read(kept) == file_sha256(target)
    except OSError:
        return False


def _is_whole(folder: Path) -> bool:
    try:
        return bool(parse_json(_read(folder / _SUMS)) == _sums(folder))
    except (OSError, ValueError):
        return False


def _read(path: Path) -> str:
    return path.read_text(errors="replace")


def _sums(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != _SUMS)
    return {str(path.relative_to(folder)): file_sha256(path) for path in files}


def _name(temporary: Path, folder: Path) -> None:
    """Another process may be first, with the same content; what is damaged goes."""
    if _is_whole(folder):
        return
    damaged = temporary.with_name(f"{part_prefix(folder.name)}damaged.part")
    if folder.exists():
        folder.rename(damaged)
    temporary.rename(folder)
    shutil.rmtree(damaged, ignore_errors=True)

"""Folders and files that one process has at a time."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pocketvlad.artifact import require_folder
from pocketvlad.errors import ArtifactError


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Keep others out of an output folder; made where it is missing.

    Raises:
        ArtifactError: another process is at work there, or it cannot be used.
    """
    while True:
        require_folder(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY)
        except OSError as error:
            found = error.strerror or str(error)
            raise ArtifactError(f"cannot use the folder {folder}", found=found) from error
        try:
            _lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(handle, folder):  # else who had it took it away before we locked it
                yield
                return
        except BlockingIOError as error:
            do = "wait for it, or name another folder"
            raise ArtifactError(f"another process is writing to {folder}", do=do) from error
        finally:
            os.close(handle)


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Wait until no other process changes ``path``, which each replaces as a whole.

    Raises:
        ArtifactError: it does not exist.
    """
    while True:
        try:
            handle = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise ArtifactError(f"{path} cannot be opened", found=error.strerror) from error
        try:
            _lock(handle, fcntl.LOCK_EX)
            if _is_at(handle, path):  # else it was replaced while we waited
                yield
                return
        finally:
            os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Whether what was opened still stands under its name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _lock(handle: int, kind: int) -> None:
    """As ``flock``; where a file system has no locks, nothing."""
    try:
        fcntl.flock(handle, kind)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS):
            raise

"""Photo collections and their ground truth, one file per layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pocketvlad.dataset import folder
from pocketvlad.dataset.types import Dataset, Photo, Query, merge
from pocketvlad.errors import DatasetError

__all__ = ["LAYOUTS", "Dataset", "Photo", "Query", "merge", "open_dataset"]

LAYOUTS: dict[str, Callable[[Path], Dataset]] = {"folder": folder.load}


def open_dataset(spec: str) -> Dataset:
    """Open ``KIND:PATH``; a bare path is a folder.

    Raises:
        DatasetError: unknown kind, missing path, or a collection that breaks its layout.
    """
    kind, colon, path = spec.partition(":")
    if not colon:
        kind, path = "folder", spec
    if kind not in LAYOUTS:
        raise DatasetError(f"unknown dataset kind {kind!r}", allowed=", ".join(f"{name}:PATH" for name in LAYOUTS))
    if not Path(path).exists():
        raise DatasetError(f"dataset {path} does not exist")
    return LAYOUTS[kind](Path(path))

"""Photo collections and their ground truth, one file per layout."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from pocketvlad.dataset import (
    folder,
    gsv_cities,
    oxford,
    patch_netvlad,
    pitts,
    revisited,
    utm,
    vpr_bench,
)
from pocketvlad.dataset.types import Dataset, Photo, Query, merge
from pocketvlad.errors import DatasetError

__all__ = ["LAYOUTS", "Dataset", "Photo", "Query", "merge", "open_dataset"]

# a new layout is one file and one line here
LAYOUTS: dict[str, Callable[[Path], Dataset]] = {
    "folder": folder.load,
    "oxford": partial(oxford.load, crop=True),
    "oxford-full": partial(oxford.load, crop=False),
    "paris": partial(oxford.load, crop=True),
    "paris-full": partial(oxford.load, crop=False),
    "revisited": revisited.load,
    "utm": utm.load,
    "pitts": pitts.load,
    "patch-netvlad": patch_netvlad.load,
    "gsv-cities": gsv_cities.load,
    "vpr-bench": vpr_bench.load,
}


def open_dataset(spec: str) -> Dataset:
    """Open ``KIND:PATH``; a bare path is a folder.

    Raises:
        DatasetError: unknown kind, missing path, or a collection that breaks its layout.
    """
    kind, colon, path = spec.partition(":")
    if not colon or Path(spec).exists():  # an existing path may hold a colon itself
        kind, path = "folder", spec
    if kind not in LAYOUTS:
        raise DatasetError(
            f"unknown dataset kind {kind!r}", allowed=", ".join(f"{name}:PATH" for name in LAYOUTS)
        )
    root = Path(path).expanduser()
    if not path or not root.exists():
        raise DatasetError(f"dataset {path or repr(spec)} does not exist")
    try:
        return LAYOUTS[kind](root)
    except OSError as error:
        raise DatasetError(f"dataset {path} cannot be read", found=error.strerror or str(error)) from error

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
from pocketvlad.errors import DatasetError, did_you_mean

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


# of these the queries may lie in another folder than the map
SIDES: dict[str, Callable[[Path, Path], Dataset]] = {"folder": folder.load_sides, "utm": utm.load_sides}


def open_dataset(spec: str, queries: str | None = None) -> Dataset:
    """Open ``KIND:PATH``; a bare path is a folder.

    Args:
        spec: of the collection.
        queries: a folder whose photos ask; the collection is then the map alone. Kinds of :data:`SIDES`.

    Raises:
        DatasetError: unknown kind, missing path, or a collection that breaks its layout.
    """
    kind, root = _split(spec)
    if queries is not None and kind not in SIDES:
        allowed = " and ".join(SIDES)
        raise DatasetError(f"{kind} names its own queries", found=queries, allowed=f"queries of {allowed}")
    try:
        if queries is None:
            return LAYOUTS[kind](root)
        return SIDES[kind](root, _existing(queries.removeprefix(f"{kind}:"), queries))
    except OSError as error:
        raise DatasetError(f"dataset {root} cannot be read", found=error.strerror or str(error)) from error


def _split(spec: str) -> tuple[str, Path]:
    """Kind and path."""
    kind, colon, path = spec.partition(":")
    if not colon or Path(spec).exists():  # an existing path may hold a colon itself
        kind, path = "folder", spec
    if kind not in LAYOUTS:
        raise DatasetError(
            f"unknown dataset kind {kind!r}",
            allowed=", ".join(f"{name}:PATH" for name in LAYOUTS),
            do=did_you_mean(kind, LAYOUTS),
        )
    return kind, _existing(path, spec)


def _existing(path: str, said: str) -> Path:
    root = Path(path).expanduser()
    if not path or not root.exists():
        raise DatasetError(f"dataset {path or repr(said)} does not exist")
    return root

"""Patch-NetVLAD's ground truth: positions in an ``.npz``, and two lists of photos in the same order.

PATH is the ``.npz`` or a folder with one, in it or in its ``dataset_gt_files``; the lists
``*_imageNames_index.txt`` and ``*_imageNames_query.txt`` lie there or in ``dataset_imagenames``, and the photos
below PATH or the folder above it. Arrays of the file: ``utmQ`` [q, 2], ``utmDb`` [n, 2] and ``posDistThr``.
Whole numbers, as those of Nordland, are numbers of frames: then the photos have no position in metres.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pocketvlad.dataset.geometry import positives_within
from pocketvlad.dataset.pickled import read_archive
from pocketvlad.dataset.truth import TOKYO_CUTS, listed_photos, of_positives
from pocketvlad.dataset.types import Dataset, Photo
from pocketvlad.errors import DatasetError

_TRUTH_FOLDER, _LIST_FOLDER = "dataset_gt_files", "dataset_imagenames"
_SIDES = {"database": ("utmDb", "index"), "queries": ("utmQ", "query")}


def load(path: Path) -> Dataset:
    """Read positions and lists, and find the photos.

    Raises:
        DatasetError: a file, an array or a photo is missing, or they do not belong together.
    """
    file = path if path.is_file() else _only(path, "*.npz", (path, path / _TRUTH_FOLDER))
    arrays = read_archive(file)
    radius = _radius(file, arrays)
    sides = {side: _side(file, arrays, side) for side in _SIDES}
    photos = {
        side: listed_photos(names, _photo_folders(file), side, file) for side, (names, _) in sides.items()
    }
    (_, found), (_, asked) = sides["database"], sides["queries"]
    in_metres = found.dtype.kind == asked.dtype.kind == "f"
    database, queries = (
        _placed(photos[side], sides[side][1]) if in_metres else photos[side] for side in _SIDES
    )
    if "tokyo247" in file.stem.lower():
        database = [replace(photo, panorama=str(i // TOKYO_CUTS)) for i, photo in enumerate(database)]
    unit = f"{radius:g} m" if in_metres else f"{radius:g} of the file's own unit"
    positives = positives_within(asked, found, radius)
    return of_positives(str(path), database, queries, positives, f"Recall@N within {unit}")


def _side(file: Path, arrays: dict[str, np.ndarray], side: str) -> tuple[list[str], np.ndarray]:
    """Names and positions [n, 2] of one side."""
    key, word = _SIDES[side]
    folders = _list_folders(file)
    several = [path for folder in folders for path in folder.glob(f"*_imageNames_{word}.txt")]
    mine = [path for path in several if file.stem.startswith(path.name.split("_imageNames_")[0])]
    list_file = mine[0] if len(mine) == 1 else _only(file, f"*_imageNames_{word}.txt", folders)
    names = [line for line in list_file.read_text("utf-8", "surrogateescape").splitlines() if line.strip()]
    positions = arrays.get(key)
    if positions is None:
        raise DatasetError(f"{file} lacks {key}", found=", ".join(arrays))
    right = positions.shape == (len(names), 2) and positions.dtype.kind in "iuf"
    if not right or not np.isfinite(positions).all():
        raise DatasetError(
            f"{key} in {file} does not fit {list_file.name}",
            found=f"{'x'.join(map(str, positions.shape))} {positions.dtype}",
            allowed=f"{len(names)}x2, finite numbers",
        )
    return names, positions


def _list_folders(file: Path) -> list[Path]:
    here = file.parent
    return [here, here / _LIST_FOLDER, here.parent / _LIST_FOLDER]


def _photo_folders(file: Path) -> list[Path]:
    here = file.absolute().parent
    return [here, here / "images", here.parent, here.parent.parent]


def _only(path: Path, pattern: str, folders: tuple[Path, ...] | list[Path]) -> Path:
    files = sorted({found for folder in folders for found in folder.glob(pattern)})
    if len(files) != 1:
        raise DatasetError(
            f"dataset {path} needs one file {pattern}",
            found=", ".join(file.name for file in files) or "none",
            allowed=f"one in {' or '.join(str(folder) for folder in folders if folder.is_dir())}",
            do="name the .npz itself where there are several" if pattern == "*.npz" else None,
        )
    return files[0]


def _radius(file: Path, arrays: dict[str, np.ndarray]) -> float:
    value = arrays.get("posDistThr")
    if value is None or value.size != 1 or value.dtype.kind not in "iuf" or not float(value.reshape(())) > 0:
        raise DatasetError(f"{file} lacks posDistThr, the distance of a positive", found=", ".join(arrays))
    return float(value.reshape(()))


def _placed(photos: list[Photo], positions: np.ndarray) -> list[Photo]:
    return [
        replace(photo, utm=(float(east), float(north)))
        for photo, (east, north) in zip(photos, positions, strict=True)
    ]

"""Pitts30k/250k and Tokyo 24/7: positions and file names in a MATLAB ``dbStruct`` (v5 or v7.3).

PATH is the ``.mat`` file or a folder with one. Images lie beside it, in its parent, or in the folders the
original downloads make (``images``, ``query``, ``queries_real``). In Tokyo 24/7 each 12 consecutive database
images are cut from one panorama.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad.dataset.geometry import RADIUS
from pocketvlad.dataset.truth import TOKYO_CUTS, listed_photos, of_positions
from pocketvlad.dataset.types import Dataset, Photo
from pocketvlad.errors import CheckpointError, DatasetError

_IMAGE_KEYS = {"db": ("dbImageFns", "dbImage"), "q": ("qImageFns", "qImage")}
_DATABASE_FOLDERS = ("", "images", "database")
_QUERY_FOLDERS = ("", "queries_real", "queries", "query", "images", "247query_v3")


def load(path: Path) -> Dataset:
    """Read the geometry and find the images; DatasetError names the field or the image that is missing."""
    file = path if path.is_file() else _only_mat(path)
    struct = read_struct(file)
    names, positions = _side(file, struct, "db")
    asked, asked_positions = _side(file, struct, "q")
    tokyo = "tokyo247" in file.stem.lower()
    database = _photos(
        file, names, positions, _DATABASE_FOLDERS, "database", cuts=TOKYO_CUTS if tokyo else None
    )
    queries = _photos(file, asked, asked_positions, _QUERY_FOLDERS, "queries")
    return of_positions(str(path), database, queries, _radius(struct))


def read_struct(file: Path) -> dict[str, Any]:
    """The ``dbStruct`` of a ``.mat`` file as a dictionary."""
    from pocketvlad.importer.matlab import read_mat  # torch's room, which a program's datasets do without

    try:
        value = read_mat(file).get("dbStruct")
    except CheckpointError as error:
        raise DatasetError(f"{file} cannot be read", found=str(error)) from error
    if not isinstance(value, dict):
        raise DatasetError(
            f"{file} holds no dbStruct", allowed="the .mat files of Pitts30k/250k or Tokyo 24/7"
        )
    return value


def _only_mat(folder: Path) -> Path:
    files = sorted([*folder.glob("*.mat"), *folder.glob("datasets/*.mat")])
    if len(files) != 1:
        found = f"{len(files)} .mat files"
        raise DatasetError(
            f"{folder} does not say which geometry to use", found=found, do="name the .mat file itself"
        )
    return files[0]


def _side(file: Path, struct: dict[str, Any], side: str) -> tuple[list[str], np.ndarray]:
    """Image names and positions float64 [n, 2] of the database (``db``) or the queries (``q``)."""
    key = next((key for key in _IMAGE_KEYS[side] if key in struct), None)
    utm_key = "utmDb" if side == "db" else "utmQ"
    if key is None or utm_key not in struct:
        missing = utm_key if key else _IMAGE_KEYS[side][0]
        raise DatasetError(f"the dbStruct of {file} lacks {missing}", found=", ".join(struct))
    names = struct[key] if isinstance(struct[key], list) else [struct[key]]
    positions = np.asarray(struct[utm_key], np.float64)
    if positions.shape != (2, len(names)) or not np.isfinite(positions).all():
        found = "x".join(map(str, positions.shape))
        raise DatasetError(
            f"{utm_key} in {file} does not fit its images", found=found, allowed=f"2x{len(names)}, finite"
        )
    if not names or not all(isinstance(name, str) for name in names):
        raise DatasetError(f"{key} in {file} is not a list of file names")
    return [name.rstrip() for name in names], positions.T


def _photos(
    file: Path,
    names: list[str],
    positions: np.ndarray,
    folders: tuple[str, ...],
    side: str,
    cuts: int | None = None,
) -> list[Photo]:
    bases = [parent / folder for parent in (file.parent, file.parent.parent) for folder in folders]
    photos = listed_photos(names, bases, side, file)
    return [
        replace(photo, utm=(float(east), float(north)), panorama=str(i // cuts) if cuts else None)
        for i, (photo, (east, north)) in enumerate(zip(photos, positions, strict=True))
    ]


def _radius(struct: dict[str, Any]) -> float:
    value = np.asarray(struct.get("posDistThr", RADIUS), np.float64)
    return float(value.reshape(-1)[0]) if value.size else RADIUS

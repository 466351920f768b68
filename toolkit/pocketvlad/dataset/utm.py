"""Folders ``database`` and ``queries`` whose file names hold positions, as VPR-methods-evaluation reads them.

Names are ``@UTM_east@UTM_north@zone@letter@latitude@longitude@panorama@…@.jpg``; only the first two fields
are needed. A database photo within 25 m is a positive. A folder without those two sub-folders is a
collection in which every photo queries the others.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from pocketvlad.dataset.files import photos_under
from pocketvlad.dataset.geometry import RADIUS, positives_within
from pocketvlad.dataset.types import Dataset, Photo, Query
from pocketvlad.errors import DatasetError

_NESTED = ("", "test", "images/test", "images")  # where the two folders lie in published data sets
_LATITUDE, _LONGITUDE, _PANORAMA = 5, 6, 7  # fields between the @


def load(root: Path, radius: float = RADIUS) -> Dataset:
    """Read the folders; DatasetError when one is empty or a name holds no position."""
    for nested in _NESTED:
        base = root / nested
        if (base / "database").is_dir() and (base / "queries").is_dir():
            database, queries = _photos(base / "database", root), _photos(base / "queries", root)
            return from_positions(str(root), database, queries, radius)
    photos = _photos(root, root)
    return from_positions(str(root), photos, None, radius)


def from_positions(name: str, database: list[Photo], queries: list[Photo] | None, radius: float) -> Dataset:
    """A dataset of photos with ``utm``; without ``queries`` every photo queries the others."""
    positions = np.asarray([photo.utm for photo in database], np.float64)
    protocol = f"Recall@N within {radius:g} m"
    if queries is None:
        found = positives_within(positions, positions, radius)
        everyone = tuple(
            Query(i, frozenset(rows.tolist()) - {i}, frozenset({i})) for i, rows in enumerate(found)
        )
        return Dataset(
            name,
            tuple(database),
            everyone,
            tuple(range(len(database))),
            "recall",
            _alone(everyone),
            protocol=protocol,
        )
    asked = np.asarray([photo.utm for photo in queries], np.float64)
    found = positives_within(asked, positions, radius)
    base = len(database)
    numbered = tuple(Query(base + i, frozenset(rows.tolist())) for i, rows in enumerate(found))
    photos = (*database, *queries)
    return Dataset(name, photos, numbered, tuple(range(base)), "recall", _alone(numbered), protocol=protocol)


def _alone(queries: tuple[Query, ...]) -> tuple[str, ...]:
    count = sum(not query.positives for query in queries)
    return (f"{count} of {len(queries)} queries have no positive: counted as missed",) if count else ()


def _photos(folder: Path, root: Path) -> list[Photo]:
    photos = [_photo(path, root) for path in photos_under(folder)]
    if not photos:
        allowed = "folders database and queries of @UTM_east@UTM_north@…@.jpg"
        raise DatasetError(f"dataset {folder} holds no photo", allowed=allowed)
    return photos


def _photo(path: Path, root: Path) -> Photo:
    fields = path.name.split("@")
    east, north = (_number(fields, i) for i in (1, 2))
    if east is None or north is None:
        allowed = "@UTM_east@UTM_north@…@.jpg, metres"
        raise DatasetError(f"the name of photo {path} holds no position", found=path.name, allowed=allowed)
    panorama = fields[_PANORAMA] if len(fields) > _PANORAMA and fields[_PANORAMA] else None
    name = path.relative_to(root).as_posix()
    latitude, longitude = _degrees(fields)
    return Photo(path, name, None, latitude, longitude, utm=(east, north), panorama=panorama)


def _degrees(fields: list[str]) -> tuple[float | None, float | None]:
    """Latitude and longitude, or neither: some collections keep other things in these fields."""
    latitude, longitude = _number(fields, _LATITUDE), _number(fields, _LONGITUDE)
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None, None
    return latitude, longitude


def _number(fields: list[str], index: int) -> float | None:
    try:
        value = float(fields[index])
    except (IndexError, ValueError):
        return None
    return value if math.isfinite(value) else None

"""A map and its queries with Recall@N as their figure, from the positives of each query."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad.dataset.files import folder_of, inside, require_files
from pocketvlad.dataset.geometry import positives_within
from pocketvlad.dataset.types import Dataset, Photo, Query
from pocketvlad.errors import DatasetError

TOKYO_CUTS = 12  # consecutive database images of Tokyo 24/7 that are cut from one panorama


def of_positives(
    name: str,
    database: Sequence[Photo],
    queries: Sequence[Photo],
    positives: Sequence[Iterable[int]],
    protocol: str,
) -> Dataset:
    """The photos of the database, then those of the queries; ``positives`` are database indices per query."""
    base = len(database)
    asked = tuple(Query(base + i, frozenset(int(row) for row in rows)) for i, rows in enumerate(positives))
    photos = (*database, *queries)
    return Dataset(name, photos, asked, tuple(range(base)), "recall", alone(asked), protocol=protocol)


def of_positions(name: str, database: Sequence[Photo], queries: Sequence[Photo], radius: float) -> Dataset:
    """The same of photos with ``utm``: right is what is at most ``radius`` metres away."""
    positives = positives_within(_positions(queries), _positions(database), radius)
    return of_positives(name, database, queries, positives, f"Recall@N within {radius:g} m")


def of_one_folder(name: str, photos: Sequence[Photo], radius: float) -> Dataset:
    """A collection without queries of its own: every photo asks for the others."""
    positions = _positions(photos)
    found = positives_within(positions, positions, radius)
    asked = tuple(Query(i, frozenset(rows.tolist()) - {i}, frozenset({i})) for i, rows in enumerate(found))
    protocol = f"Recall@N within {radius:g} m, every photo queries the others"
    everyone = tuple(range(len(photos)))
    return Dataset(name, tuple(photos), asked, everyone, "recall", alone(asked), protocol=protocol)


def alone(queries: Sequence[Query]) -> tuple[str, ...]:
    """A line that counts the queries without a positive; none where there are none."""
    count = sum(not query.positives for query in queries)
    return (f"{count} of {len(queries)} queries have no positive: counted as missed",) if count else ()


def positives_of(file: Path, entry: Any, images: int) -> frozenset[int]:
    """The database indices that one entry of a ground truth lists: a number, or a sequence of them.

    Raises:
        DatasetError: it is no such thing, or names an image that is not among the ``images``.
    """
    try:
        few = list(islice([entry] if isinstance(entry, (int, np.integer)) else entry, images + 1))
        found = [int(value) for value in few]
    except (TypeError, ValueError, OverflowError) as error:
        raise DatasetError(
            f"{file} is not a ground truth", found=f"{entry!r:.60}", allowed="lists of numbers"
        ) from error
    wrong = [
        value for value, whole in zip(few, found, strict=True) if not 0 <= whole < images or value != whole
    ]
    if wrong:
        raise DatasetError(
            f"{file} names an image beyond its list", found=wrong[0], allowed=f"0 to {images - 1}"
        )
    return frozenset(found)


def listed_photos(names: Sequence[str], folders: Sequence[Path], side: str, file: Path) -> list[Photo]:
    """The photos of a list, all below the first of the folders that holds the first of them.

    Raises:
        DatasetError: the list is empty, or a photo of it is missing or outside.
    """
    if not names:
        raise DatasetError(f"{file} lists no photo")
    base = folder_of(folders, names)
    if base is None:
        looked = ", ".join(dict.fromkeys(str(folder) for folder in folders if folder.is_dir()))
        raise DatasetError(
            f"none of the {len(names)} {side} photos of {file} is there",
            found=f"no {names[0]}",
            allowed=f"photos below one of {looked}",
        )
    photos = [Photo(inside(base, name, str(file)), f"{side}/{Path(name).as_posix()}") for name in names]
    require_files(f"dataset {file}", [photo.path for photo in photos], str(base))
    return photos


def _positions(photos: Sequence[Photo]) -> np.ndarray:
    """float64 [n, 2], metres."""
    return np.asarray([photo.utm for photo in photos], np.float64).reshape(len(photos), 2)

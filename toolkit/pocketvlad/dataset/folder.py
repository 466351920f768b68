"""A plain folder: a sub-folder per place, or a ``manifest.csv`` with image, place and optionally role.

Without roles every photo with a partner queries all the others. With roles the photos marked ``query`` ask,
``good`` and ``ok`` are positives, ``junk`` is taken out of that place's rankings (the Oxford protocol); a
photo that plays a part for two places has two rows. The query itself is never counted.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from pocketvlad.dataset.types import Dataset, Photo, Query
from pocketvlad.errors import DatasetError
from pocketvlad.model.preprocess import PHOTO_SUFFIXES

ROLES = ("query", "good", "ok", "junk")
Row = tuple[str, str, str | None]  # image, place, role


def load(root: Path) -> Dataset:
    """Read the folder; DatasetError when it is empty or its manifest breaks a rule."""
    manifest = root / "manifest.csv"
    rows = _manifest_rows(manifest) if manifest.is_file() else _folder_rows(root)
    if not rows:
        raise DatasetError(
            f"dataset {root} holds no photo", allowed="a sub-folder of photos per place, or a manifest.csv"
        )
    images = root / "images" if manifest.is_file() and (root / "images").is_dir() else root
    photos, number = _photos(rows, images)
    with_roles = any(role for _, _, role in rows)
    queries = _role_queries(rows, number) if with_roles else _all_queries(photos)
    skipped = _lonely_places(photos) if not with_roles else ()
    return Dataset(str(root), photos, tuple(queries), tuple(range(len(photos))), "map", skipped)


def _folder_rows(root: Path) -> list[Row]:
    """A row per photo: its place is the sub-folder; photos directly in ``root`` have their own name."""
    paths = [path for path in sorted(root.rglob("*")) if path.suffix.lower() in PHOTO_SUFFIXES]
    rows: list[Row] = []
    for path in paths:
        name = path.relative_to(root)
        rows.append((str(name), str(name.parent) if name.parent != Path(".") else name.stem, None))
    return rows


def _manifest_rows(manifest: Path) -> list[Row]:
    rows: list[Row] = []
    try:
        with open(manifest, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {"image", "place"} - set(reader.fieldnames or ())
            if missing:
                raise DatasetError(f"{manifest} lacks a column", found=reader.fieldnames, allowed="image, place, role")
            for line, row in enumerate(reader, 2):
                rows.append(_checked_row(manifest, line, row))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{manifest} is not a CSV file", found=str(error)) from error
    if len({row[:2] for row in rows}) != len(rows):
        raise DatasetError(f"{manifest} names an image twice for one place")
    return rows


def _checked_row(manifest: Path, line: int, row: dict[str, str]) -> Row:
    image, place, role = (row.get(key) or "" for key in ("image", "place", "role"))
    if not image or not place:
        raise DatasetError(f"{manifest}, line {line}: image and place are needed")
    if role and role not in ROLES:
        raise DatasetError(f"{manifest}, line {line}: unknown role", found=repr(role), allowed=", ".join(ROLES))
    return image, place, role or None


def _photos(rows: list[Row], images: Path) -> tuple[tuple[Photo, ...], dict[str, int]]:
    """One photo per image; its place is the one it belongs to rather than is junk for."""
    places: dict[str, str] = {}
    for image, place, role in rows:
        if image not in places or role != "junk":
            places[image] = place
    missing = [image for image in places if not (images / image).is_file()]
    if missing:
        raise DatasetError(f"{images} lacks {len(missing)} photos of its manifest", found=f"no {missing[0]}")
    photos = tuple(Photo(images / image, image, place) for image, place in places.items())
    return photos, {photo.name: i for i, photo in enumerate(photos)}


def _role_queries(rows: list[Row], number: dict[str, int]) -> list[Query]:
    by_place: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for image, place, role in rows:
        by_place[place][role or "good"].append(number[image])
    queries = []
    for roles in by_place.values():
        for photo in roles["query"]:
            positives = frozenset(roles["good"]) | frozenset(roles["ok"])
            if positives:
                queries.append(Query(photo, positives, frozenset(roles["junk"]) | {photo}))
    return queries


def _all_queries(photos: tuple[Photo, ...]) -> list[Query]:
    members: dict[str | None, set[int]] = defaultdict(set)
    for i, photo in enumerate(photos):
        members[photo.place].add(i)
    return [
        Query(i, frozenset(members[photo.place] - {i}), frozenset({i}))
        for i, photo in enumerate(photos)
        if len(members[photo.place]) > 1
    ]


def _lonely_places(photos: tuple[Photo, ...]) -> tuple[str, ...]:
    counts: dict[str | None, int] = defaultdict(int)
    for photo in photos:
        counts[photo.place] += 1
    return tuple(f"place {place} has one photo: it is searched but asks nothing" for place in counts if counts[place] == 1)

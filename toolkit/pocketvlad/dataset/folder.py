"""A plain folder: a sub-folder per place, or a ``manifest.csv`` with image, place and optionally role.

Without roles every photo with a partner queries all the others. With roles the photos marked ``query`` ask,
``good`` and ``ok`` (or no role) are positives, ``junk`` is taken out of that place's rankings (the Oxford
protocol); a photo that plays a part for two places has two rows. A query never meets itself, and other
queries of its place are junk to it. Columns ``latitude`` and ``longitude``, degrees, are optional.
Images lie beside the manifest or in a folder ``images`` there.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketvlad.dataset.files import photos_under, require_files
from pocketvlad.dataset.types import Dataset, Photo, Query
from pocketvlad.errors import DatasetError

MANIFEST = "manifest.csv"
ROLES = ("query", "good", "ok", "junk")
LIMITS = {"latitude": 90.0, "longitude": 180.0}  # degrees
_NAMED = 3  # places named in a message about many


@dataclass(frozen=True)
class Row:
    """One line: what an image is to a place."""

    image: str
    place: str
    role: str | None = None
    latitude: float | None = None
    longitude: float | None = None


def load(root: Path) -> Dataset:
    """Read the folder, or the manifest file itself; DatasetError when it is empty or breaks a rule."""
    manifest = root if root.is_file() else root / MANIFEST
    from_manifest = manifest.is_file()
    rows = _manifest_rows(manifest) if from_manifest else _folder_rows(root)
    if not rows:
        allowed = "a sub-folder of photos per place, or a manifest.csv"
        raise DatasetError(f"dataset {root} holds no photo", allowed=allowed)
    photos, number = _photos(rows, manifest.parent if from_manifest else root)
    if any(row.role for row in rows):
        queries, skipped = _role_queries(rows, number)
        protocol = "queries by role, junk ignored"
    else:
        queries, skipped = _all_queries(rows, number)
        protocol = "every photo queries the others"
    everything = tuple(range(len(photos)))
    return Dataset(str(root), photos, tuple(queries), everything, "map", tuple(skipped), protocol=protocol)


def _folder_rows(root: Path) -> list[Row]:
    """A row per photo: its place is the sub-folder; a photo directly in ``root`` is a place of its own."""
    names = [path.relative_to(root) for path in photos_under(root)]
    return [
        Row(name.as_posix(), name.parent.as_posix() if name.parent != Path() else name.stem) for name in names
    ]


def _manifest_rows(manifest: Path) -> list[Row]:
    rows: list[Row] = []
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if {"image", "place"} - set(reader.fieldnames or ()):
                found = ", ".join(reader.fieldnames or ()) or "an empty file"
                raise DatasetError(
                    f"{manifest} lacks a column", found=found, allowed="image, place and optionally role"
                )
            rows = [_checked_row(f"{manifest}, line {reader.line_num}", values) for values in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{manifest} is not a CSV file in UTF-8", found=str(error)) from error
    seen: set[tuple[str, str]] = set()
    for row in rows:
        if (row.image, row.place) in seen:
            raise DatasetError(f"{manifest} has two rows for {row.image} and place {row.place}")
        seen.add((row.image, row.place))
    return rows


def _checked_row(where: str, values: dict[str, str | None]) -> Row:
    image, place, role = ((values.get(key) or "").strip() for key in ("image", "place", "role"))
    if not image or not place:
        raise DatasetError(f"{where}: image and place are needed", found=f"{image!r}, {place!r}")
    if role and role not in ROLES:
        raise DatasetError(f"{where}: unknown role", found=repr(role), allowed=", ".join(ROLES))
    latitude, longitude = (_degrees(where, key, values.get(key)) for key in LIMITS)
    if (latitude is None) != (longitude is None):
        raise DatasetError(f"{where}: latitude and longitude go together", found="one of them")
    return Row(image, place, role or None, latitude, longitude)


def _degrees(where: str, key: str, text: str | None) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise DatasetError(f"{where}: {key} is not a number", found=repr(text)) from error
    if not math.isfinite(value) or abs(value) > LIMITS[key]:
        raise DatasetError(
            f"{where}: {key} is out of range", found=text, allowed=f"-{LIMITS[key]} to {LIMITS[key]}"
        )
    return value


def _photos(rows: Sequence[Row], root: Path) -> tuple[tuple[Photo, ...], dict[str, int]]:
    """One photo per image, and its number; its place is the first it belongs to rather than is junk for."""
    chosen: dict[str, Row] = {}
    for row in rows:
        if row.image not in chosen or (chosen[row.image].role == "junk" and row.role != "junk"):
            chosen[row.image] = row
    photos = tuple(
        Photo(_locate(root, row.image), row.image, row.place, row.latitude, row.longitude)
        for row in chosen.values()
    )
    require_files(f"dataset {root}", [photo.path for photo in photos])
    return photos, {photo.name: i for i, photo in enumerate(photos)}


def _locate(root: Path, image: str) -> Path:
    beside = root / image
    return beside if beside.is_file() or not (root / "images").is_dir() else root / "images" / image


def _role_queries(rows: Sequence[Row], number: dict[str, int]) -> tuple[list[Query], list[str]]:
    places: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        places[row.place][row.role or "good"].add(number[row.image])
    queries: list[Query] = []
    empty: list[str] = []
    for place, roles in places.items():
        positives = frozenset(roles["good"] | roles["ok"])
        if not positives and roles["query"]:
            empty.append(place)
            continue
        junk = frozenset(roles["junk"] | roles["query"])
        queries += [Query(photo, positives, junk) for photo in sorted(roles["query"])]
    return queries, _counted(empty, "with a query but no good or ok photo: left out")


def _all_queries(rows: Sequence[Row], number: dict[str, int]) -> tuple[list[Query], list[str]]:
    members: dict[str, set[int]] = defaultdict(set)
    same: dict[int, set[int]] = defaultdict(set)
    for row in rows:
        members[row.place].add(number[row.image])
    for photos in members.values():
        for photo in photos:
            same[photo] |= photos
    queries = [
        Query(photo, frozenset(same[photo] - {photo}), frozenset({photo}))
        for photo in sorted(same)
        if len(same[photo]) > 1
    ]
    lonely = [place for place, photos in members.items() if len(photos) == 1]
    return queries, _counted(lonely, "with one photo: searched, but asks nothing")


def _counted(places: Sequence[str], what: str) -> list[str]:
    if not places:
        return []
    more = ", …" if len(places) > _NAMED else ""
    named = ", ".join(places[:_NAMED]) + more
    return [f"{len(places)} place{'s' if len(places) > 1 else ''} {what} ({named})"]

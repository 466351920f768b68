"""A plain folder: a sub-folder per place, or a ``manifest.csv`` with image, place and optionally role.

Without roles every photo with a partner queries all the others. With roles the photos marked ``query`` ask,
``good`` and ``ok`` (or no role) are positives, ``junk`` is taken out of that place's rankings (the Oxford
protocol); a photo that plays a part for two places has two rows. A photo that is only ever a query is not in
the database, so no query finds it; one that is also good, ok or junk somewhere is, and then a query meets
neither itself nor the other queries of its place. Columns ``latitude`` and ``longitude``, degrees, are
optional. Images lie beside the manifest or in a folder ``images`` there.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from pocketvlad.dataset.all_but import AllBut, all_but
from pocketvlad.dataset.files import common_parent, inside, require_files, scan
from pocketvlad.dataset.tree import places_of
from pocketvlad.dataset.types import Dataset, Photo, Query
from pocketvlad.errors import DatasetError, printable, unknown

MANIFEST = "manifest.csv"
IMAGES = "images"  # the folder beside a manifest
ROLES = ("query", "good", "ok", "junk")
LIMITS = {"latitude": 90.0, "longitude": 180.0}  # degrees
_ALLOWED = "a sub-folder of photos per place, or a manifest.csv"
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
    rows, base, unread = _rows(root)
    photos, number = _photos(rows, base)
    database = tuple(range(len(photos)))
    if any(row.role for row in rows):
        searched = {number[row.image] for row in rows if row.role != "query"}
        database = tuple(i for i in database if i in searched)
        queries, skipped = _role_queries(rows, number)
        protocol = "queries by role against the map, junk ignored"
    else:
        queries, skipped = _all_queries(rows, number)
        protocol = "every photo queries the others"
    lines = (*unread, *skipped)
    return Dataset(str(root), photos, tuple(queries), database, "map", lines, protocol=protocol)


def load_sides(root: Path, asked: Path) -> Dataset:
    """A map and its queries from two folders: right is what shows a place of the query.

    Of a manifest with roles the map takes all but its queries, and the queries those alone.

    Raises:
        DatasetError: a folder is empty or breaks a rule, one lies in the other, or they share no place.
    """
    base = common_parent(root, asked)
    map_rows, map_base, map_unread = _rows(root)
    ask_rows, ask_base, ask_unread = _rows(asked)
    if any(row.role == "query" for row in ask_rows):
        ask_rows = [row for row in ask_rows if row.role == "query"]
    rows = [_moved(row, map_base, base) for row in map_rows if row.role != "query"]
    asking = [replace(_moved(row, ask_base, base), role="query") for row in ask_rows if row.role != "junk"]
    if not {row.place for row in rows} & {row.place for row in asking}:
        places = " and ".join(repr(some[0].place) if some else "none" for some in (rows, asking))
        raise DatasetError(
            f"no query of {asked} shows a place of {root}",
            found=f"places such as {places}",
            allowed="the same sub-folders below both, or the same file names in both",
        )
    photos, number = _photos([*rows, *asking], base)
    queries, skipped = _role_queries([*rows, *asking], number)
    database = tuple(sorted({number[row.image] for row in rows}))
    lines = (*map_unread, *ask_unread, *skipped)
    protocol = f"queries of {asked} against the map, by place"
    return Dataset(str(root), photos, tuple(queries), database, "map", lines, protocol=printable(protocol))


def _rows(root: Path) -> tuple[list[Row], Path, tuple[str, ...]]:
    """The rows of a folder or manifest, the folder that images count from, and a line about unread photos."""
    manifest = root if root.is_file() else root / MANIFEST
    unread: tuple[str, ...] = ()
    if manifest.is_file():
        rows, base = _manifest_rows(manifest), manifest.parent
    else:
        (rows, unread), base = _folder_rows(root), root
    if not rows:
        raise DatasetError(f"dataset {root} holds no photo", allowed=_ALLOWED)
    return rows, base, unread


def _moved(row: Row, root: Path, base: Path) -> Row:
    """With the image as it is called from ``base``."""
    return replace(row, image=_locate(root, row.image).absolute().relative_to(base).as_posix())


def _folder_rows(root: Path) -> tuple[list[Row], tuple[str, ...]]:
    """A row per photo, and a line about photos of kinds that are not read."""
    found = scan(root)
    found.require_photos(_ALLOWED)
    names = [path.relative_to(root) for path in found.photos]
    places = places_of(root, names)
    rows = [Row(name.as_posix(), *place) for name, place in zip(names, places, strict=True)]
    return rows, found.skipped


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
        raise unknown(DatasetError, f"{where}: unknown role", role, ROLES)
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
    """One photo per image, and its number; its places are those it is not junk for, if there are any."""
    by_image: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_image[row.image].append(row)
    photos = []
    for image, its_rows in by_image.items():
        shown = [row for row in its_rows if row.role != "junk"]
        first, *others = shown or its_rows[:1]
        kept = any(row.role != "query" for row in shown)
        placed = next((row for row in its_rows if row.latitude is not None), first)
        photos.append(
            Photo(
                _locate(root, image),
                image,
                first.place,
                placed.latitude,
                placed.longitude,
                also=tuple(row.place for row in others),
                junk=not kept and any(row.role == "junk" for row in its_rows),
            )
        )
    folders = f"{root} or {root / IMAGES}" if (root / IMAGES).is_dir() else str(root)
    require_files(f"dataset {root}", [photo.path for photo in photos], folders)
    return tuple(photos), {photo.name: i for i, photo in enumerate(photos)}


def _locate(root: Path, image: str) -> Path:
    beside = inside(root, image, str(root / MANIFEST))
    return beside if beside.is_file() or not (root / IMAGES).is_dir() else root / IMAGES / image


def _role_queries(rows: Sequence[Row], number: dict[str, int]) -> tuple[list[Query], list[str]]:
    """One query per photo that asks: of all its places the good and ok photos are right."""
    roles: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    asked: dict[int, list[str]] = defaultdict(list)
    for row in rows:
        roles[row.place][row.role or "good"].add(number[row.image])
        if row.role == "query":
            asked[number[row.image]].append(row.place)

    @cache
    def parts(*places: str) -> tuple[frozenset[int], frozenset[int]]:
        """What is right for a photo of these places, itself included, and what is not searched."""
        right, out = (
            frozenset[int]().union(*(roles[place][role] for place in places for role in names))
            for names in (("good", "ok"), ("junk", "query"))
        )
        return right, out - right

    queries: list[Query] = []
    empty: list[str] = []
    for photo, places in asked.items():
        right, out = parts(*places)
        positives = all_but(right, photo)
        if positives:
            queries.append(Query(photo, positives, out | {photo} if photo in right else out))
        else:
            empty += places
    return queries, _counted(list(dict.fromkeys(empty)), "with a query but no good or ok photo: left out")


def _all_queries(rows: Sequence[Row], number: dict[str, int]) -> tuple[list[Query], list[str]]:
    members: dict[str, set[int]] = defaultdict(set)
    places: dict[int, list[str]] = defaultdict(list)
    for row in rows:
        members[row.place].add(number[row.image])
        places[number[row.image]].append(row.place)

    @cache
    def together(*places: str) -> frozenset[int]:
        """The photos that show one of the places."""
        return frozenset[int]().union(*(members[place] for place in places))

    found = [(photo, together(*places[photo])) for photo in sorted(places)]
    queries = [
        Query(photo, AllBut(same, photo), frozenset({photo})) for photo, same in found if len(same) > 1
    ]
    lonely = [place for place, photos in members.items() if len(photos) == 1]
    return queries, _counted(lonely, "with one photo: searched, but asks nothing")


def _counted(places: Sequence[str], what: str) -> list[str]:
    if not places:
        return []
    more = ", …" if len(places) > _NAMED else ""
    named = printable(", ".join(places[:_NAMED])) + more
    return [f"{len(places)} place{'s' if len(places) > 1 else ''} {what} ({named})"]

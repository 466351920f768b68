"""Folders ``database`` and ``queries`` whose file names hold positions, as VPR-methods-evaluation reads them.

Names are ``@UTM_east@UTM_north@zone@letter@latitude@longitude@panorama@…@.jpg``; only the first two fields
are needed, in metres. A database photo within 25 m is a positive. PATH is the folder with the two, a folder
``images`` or one above its ``train``, ``val`` and ``test``, or a queries folder itself where there are several
(SF-XL's ``queries_v1``, ``queries_v2``). A folder of photos without any such sub-folder is a collection in which
every photo queries the others.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

from pocketvlad.dataset.files import Scan, common_parent, scan
from pocketvlad.dataset.geometry import RADIUS
from pocketvlad.dataset.truth import of_one_folder, of_positions
from pocketvlad.dataset.types import Dataset, Photo
from pocketvlad.errors import DatasetError, printable

DATABASE = "database"
_QUERIES = re.compile(r"queries(_.+)?|query")
_SPLITS = ("test", "val", "train")  # of published data sets; test is what evaluations read
_LATITUDE, _LONGITUDE, _PANORAMA = 5, 6, 7  # fields between the @
_NAMES = "@UTM_east@UTM_north@…@.jpg, metres"
_DEGREES = 180.0


def load(root: Path, radius: float = RADIUS) -> Dataset:
    """Read the folders.

    Raises:
        DatasetError: one is empty, they do not say what is to be compared with what, or a name holds no position
            in metres.
    """
    here = root.absolute()
    if _QUERIES.fullmatch(here.name) and (here.parent / DATABASE).is_dir():
        return _two_sides(root, here.parent, here, radius)
    base = _base(root)
    if base is not None:
        return _two_sides(root, base, _queries_folder(base), radius)
    found = scan(root)
    sides = _side_folders(found)
    if sides:
        raise DatasetError(
            f"dataset {root} does not say what is compared with what",
            found=f"a folder {sides[0]}, but no folders {DATABASE} and queries side by side",
            allowed=f"{DATABASE} and queries, or photos without such folders",
        )
    dataset = of_one_folder(str(root), _photos(found, root), radius)
    return replace(dataset, skipped=(*found.skipped, *dataset.skipped))


def load_sides(root: Path, asked: Path, radius: float = RADIUS) -> Dataset:
    """The map of one folder, or of its ``database``, and the queries of another; DatasetError as :func:`load`."""
    mapped = root / DATABASE if (root / DATABASE).is_dir() else root
    base = common_parent(mapped, asked)
    return _of_folders(root, mapped, asked, base, radius, f", queries of {asked}")


def _base(root: Path) -> Path | None:
    """The folder with ``database`` in it, of several splits the test; None where there is none."""
    for above in (root, root / "images"):
        if (above / DATABASE).is_dir():
            return above
        splits = [above / split for split in _SPLITS if (above / split / DATABASE).is_dir()]
        if len(splits) > 1 and splits[0].name != "test":
            names = ", ".join(str(split) for split in splits)
            raise DatasetError(f"dataset {root} holds several splits", found=names, do="name one of them")
        if splits:
            return splits[0]
    return None


def _queries_folder(base: Path) -> Path:
    folders = sorted(path for path in base.iterdir() if _QUERIES.fullmatch(path.name) and path.is_dir())
    if not folders:
        raise DatasetError(
            f"dataset {base} has a folder {DATABASE} but no queries", allowed="a folder queries"
        )
    if len(folders) > 1:
        found = ", ".join(path.name for path in folders)
        do = f"name one of them, such as utm:{folders[0]}"
        raise DatasetError(f"dataset {base} has several folders of queries", found=found, do=do)
    return folders[0]


def _side_folders(found: Scan) -> list[str]:
    parts = {part for path in found.photos for part in path.relative_to(found.root).parent.parts}
    return sorted(part for part in parts if part in (DATABASE, *_SPLITS) or _QUERIES.fullmatch(part))


def _two_sides(root: Path, base: Path, asked: Path, radius: float) -> Dataset:
    plain = base == root and asked.name == "queries"
    where = "" if plain else f", queries of {asked.absolute().parent.name}/{asked.name}"
    named_from = root if root in asked.parents else base
    return _of_folders(root, base / DATABASE, asked, named_from, radius, where)


def _of_folders(root: Path, mapped: Path, asked: Path, base: Path, radius: float, where: str) -> Dataset:
    """The two sides, their photos named from ``base``."""
    found = [scan(mapped.absolute()), scan(asked.absolute())]
    database, queries = (_photos(side, base.absolute()) for side in found)
    dataset = of_positions(str(root), database, queries, radius)
    skipped = (*found[0].skipped, *found[1].skipped, *dataset.skipped)
    return replace(dataset, skipped=skipped, protocol=printable(dataset.protocol + where))


def _photos(found: Scan, root: Path) -> list[Photo]:
    """Photos with positions in metres, named from ``root``."""
    found.require_photos(_NAMES)
    photos = [_photo(path, root) for path in found.photos]
    if all(max(map(abs, photo.utm or ())) <= _DEGREES for photo in photos):
        raise DatasetError(
            f"the positions in the names of {found.root} look like degrees, not metres",
            found=photos[0].path.name,
            allowed=_NAMES,
            do="convert latitude and longitude to UTM",
        )
    return photos


def _photo(path: Path, root: Path) -> Photo:
    fields = path.name.split("@")
    east, north = (_number(fields, i) for i in (1, 2))
    if east is None or north is None:
        raise DatasetError(f"the name of photo {path} holds no position", found=path.name, allowed=_NAMES)
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

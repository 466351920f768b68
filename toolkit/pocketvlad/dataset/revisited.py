"""Revisited Oxford and Paris (Radenovic et al., CVPR 2018): easy, medium and hard ground truth in one pickle.

PATH is the ``gnd_*.pkl`` or a folder with one; images lie beside it, in ``jpg`` or in any sub-folder. The
pickle is read and nothing in it is run. Queries are cropped to their box and are not in the database. The main
figure is Medium; Easy and Hard are variants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocketvlad.dataset.files import photos_by_stem, require_named, scan
from pocketvlad.dataset.pickled import read_pickle
from pocketvlad.dataset.types import Dataset, Photo, Query
from pocketvlad.errors import DatasetError

# protocol: lists of positives, lists of junk
PROTOCOLS = {
    "easy": (("easy",), ("junk", "hard")),
    "medium": (("easy", "hard"), ("junk",)),
    "hard": (("hard",), ("junk", "easy")),
}


def load(path: Path) -> Dataset:
    """Read the ground truth and find the images.

    Raises:
        DatasetError: the pickle is damaged, of another shape or would run code, or an image is missing.
    """
    file = path if path.is_file() else _only_pickle(path)
    truth = read_ground_truth(file)
    below = scan(file.parent)
    found = photos_by_stem(below)
    names = (_stem(name) for name in (*truth["imlist"], *truth["qimlist"]))
    require_named(below, found, names, file)
    database = [_photo(found, name) for name in truth["imlist"]]
    asked = [
        _photo(found, name, _box(file, entry))
        for name, entry in zip(truth["qimlist"], truth["gnd"], strict=True)
    ]
    sets = {name: _queries(file, truth["gnd"], len(database), name) for name in PROTOCOLS}
    left_out = tuple(
        f"{len(asked) - len(queries)} of {len(asked)} queries have no positive in {name}: left out"
        for name, queries in sets.items()
        if len(queries) < len(asked)
    )
    return Dataset(
        name=str(path),
        photos=(*database, *asked),
        queries=sets["medium"],
        database=tuple(range(len(database))),
        skipped=(*below.skipped, *left_out),
        variants={name: queries for name, queries in sets.items() if name != "medium"},
        protocol="revisited Medium, query cropped to its box",
    )


def read_ground_truth(file: Path) -> dict[str, Any]:
    """``imlist``, ``qimlist`` and ``gnd``: per query ``bbx`` and index lists ``easy``, ``hard``, ``junk``."""
    value = read_pickle(file)
    keys = ("imlist", "qimlist", "gnd")
    if not isinstance(value, Mapping) or not all(isinstance(value.get(key), Sequence) for key in keys):
        raise DatasetError(f"{file} is not a revisited ground truth", allowed="lists imlist, qimlist and gnd")
    if len(value["qimlist"]) != len(value["gnd"]) or not value["gnd"]:
        found = f"{len(value['gnd'])} for {len(value['qimlist'])} queries"
        raise DatasetError(f"{file} has ground truth for other queries than its own", found=found)
    return dict(value)


def _only_pickle(folder: Path) -> Path:
    files = sorted(folder.glob("gnd_*.pkl"))
    if len(files) != 1:
        found = f"{len(files)} files gnd_*.pkl"
        raise DatasetError(
            f"{folder} does not say which ground truth to use", found=found, do="name the .pkl itself"
        )
    return files[0]


def _photo(found: Mapping[str, Path], name: str, box: tuple | None = None) -> Photo:
    return Photo(found[_stem(name)], str(name), box=box)


def _stem(name: str) -> str:
    return Path(str(name)).name.removesuffix(".jpg")


def _box(file: Path, entry: Mapping[str, Any]) -> tuple[float, ...]:
    try:
        left, top, right, bottom = (float(value) for value in entry["bbx"])
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"a query of {file} has no box", allowed="bbx = left, top, right, bottom"
        ) from error
    return left, top, right, bottom


def _queries(file: Path, gnd: Sequence[Mapping[str, Any]], images: int, protocol: str) -> tuple[Query, ...]:
    """Queries with a positive; query i is photo ``images + i``."""
    good, junk = PROTOCOLS[protocol]
    queries = []
    for i, entry in enumerate(gnd):
        positives = _indices(file, entry, good, images)
        if positives:
            queries.append(Query(images + i, positives, _indices(file, entry, junk, images)))
    return tuple(queries)


def _indices(file: Path, entry: Mapping[str, Any], keys: Sequence[str], images: int) -> frozenset[int]:
    try:
        found = frozenset(int(i) for key in keys for i in entry[key])
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"a query of {file} lacks one of its lists", allowed="easy, hard and junk"
        ) from error
    if found and not (min(found) >= 0 and max(found) < images):
        raise DatasetError(
            f"{file} names an image beyond its list", found=max(found), allowed=f"0 to {images - 1}"
        )
    return found

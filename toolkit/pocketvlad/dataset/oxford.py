"""Oxford5k / Paris6k, classic: ground truth in ``NAME_{query,good,ok,junk}.txt``, five queries a landmark.

PATH holds the photos and the text files, in any sub-folders. ``NAME_query.txt`` is an image, prefixed
``oxc1_`` in Oxford's, and the box of the landmark in it: left, top, right, bottom, pixels. Positives are
good and ok. The query stays in the database, as in the original protocol (Philbin et al., CVPR 2007).
"""

from __future__ import annotations

import re
from pathlib import Path

from pocketvlad.dataset.files import photos_by_stem
from pocketvlad.dataset.types import Dataset, Photo, Query
from pocketvlad.errors import DatasetError

_QUERY = "_query.txt"
_PREFIX = "oxc1_"


def load(root: Path, *, crop: bool) -> Dataset:
    """Read the collection; with ``crop`` each query is the region of its box, else the full image.

    Raises:
        DatasetError: no ground truth, no photos, or a photo the ground truth names is missing.
    """
    truth = sorted(root.rglob(f"*{_QUERY}"))
    if not truth:
        raise DatasetError(
            f"dataset {root} holds no ground truth", allowed="NAME_query.txt, _good, _ok and _junk"
        )
    paths = photos_by_stem(root)
    number = {stem: i for i, stem in enumerate(paths)}
    places: dict[int, str] = {}
    queries: list[Query] = []
    regions: list[Photo] = []
    skipped: list[str] = []
    for file in truth:
        name = file.name.removesuffix(_QUERY)
        landmark = re.sub(r"_\d+$", "", name)
        stem, box = _read_query(file)
        lists = {role: _read_list(file, name, role, number, root) for role in ("good", "ok", "junk")}
        positives = lists["good"] | lists["ok"]
        photo = _number_of(stem, number, file, root)
        places.update(dict.fromkeys([*positives, photo], landmark))
        if not positives:
            skipped.append(f"query {name} has no positive: left out")
            continue
        if crop:
            regions.append(Photo(paths[stem], f"{name}_query", landmark, box=box))
            photo = len(paths) + len(regions) - 1
        queries.append(Query(photo, frozenset(positives), frozenset(lists["junk"])))
    photos = [Photo(path, stem, places.get(i)) for i, (stem, path) in enumerate(paths.items())]
    protocol = "query cropped to its box" if crop else "query is the full image"
    database = tuple(range(len(photos)))
    everything = (*photos, *regions)
    return Dataset(str(root), everything, tuple(queries), database, "map", tuple(skipped), protocol=protocol)


def _read_query(file: Path) -> tuple[str, tuple[float, float, float, float]]:
    """``oxc1_all_souls_000013 136.5 34.1 648.5 955.7`` -> the photo's stem and the box."""
    words = file.read_text(encoding="utf-8", errors="replace").split()
    try:
        left, top, right, bottom = map(float, words[1:])
    except ValueError as error:
        raise DatasetError(
            f"{file} is not a query", found=" ".join(words)[:80], allowed="IMAGE and 4 numbers"
        ) from error
    return words[0].removeprefix(_PREFIX), (left, top, right, bottom)


def _read_list(query: Path, name: str, role: str, number: dict[str, int], root: Path) -> set[int]:
    file = query.with_name(f"{name}_{role}.txt")
    if not file.is_file():
        raise DatasetError(f"dataset {root} lacks {file.name}", found=f"{query.name} without it")
    stems = file.read_text(encoding="utf-8", errors="replace").split()
    if role == "junk":  # what is not there needs no ignoring
        return {number[stem] for stem in stems if stem in number}
    return {_number_of(stem, number, file, root) for stem in stems}


def _number_of(stem: str, number: dict[str, int], file: Path, root: Path) -> int:
    if stem not in number:
        raise DatasetError(f"dataset {root} lacks a photo that {file.name} names", found=f"no {stem}.jpg")
    return number[stem]

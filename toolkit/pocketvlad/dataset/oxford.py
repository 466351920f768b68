"""Oxford5k / Paris6k, classic: ground truth in ``NAME_{query,good,ok,junk}.txt``, five queries a landmark.

PATH holds the photos and the text files, in any sub-folders. ``NAME_query.txt`` is an image, prefixed
``oxc1_`` in Oxford's, and the box of the landmark in it: left, top, right, bottom, pixels. Positives are
good and ok. Every photo is in the database, as in the original protocol (Philbin et al., CVPR 2007). A cropped
query may find the photo it was cut from; a full image is never its own answer: it is taken out of its ranking.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from pocketvlad.dataset.files import files_named, photos_by_stem, require_named, scan
from pocketvlad.dataset.types import Dataset, Photo, Query
from pocketvlad.errors import DatasetError

_QUERY = "_query.txt"
_PREFIX = "oxc1_"


def load(root: Path, *, crop: bool) -> Dataset:
    """Read the collection; with ``crop`` each query is the region of its box, else the full image.

    Raises:
        DatasetError: no ground truth, no photos, or a photo the ground truth names is missing.
    """
    truth = files_named(root, _QUERY)
    if not truth:
        raise DatasetError(
            f"dataset {root} holds no ground truth", allowed="NAME_query.txt, _good, _ok and _junk"
        )
    found = scan(root)
    paths = photos_by_stem(found)
    number = {stem: i for i, stem in enumerate(paths)}
    places: dict[int, list[str]] = defaultdict(list)  # landmarks that a photo shows
    junk_for: dict[int, str] = {}
    queries: list[Query] = []
    regions: list[Photo] = []
    skipped = list(found.skipped)
    for file in truth:
        name = file.name.removesuffix(_QUERY)
        landmark = re.sub(r"_\d+$", "", name)
        stem, box = _read_query(file)
        stems = {role: _read_list(file, name, role, root) for role in ("good", "ok", "junk")}
        require_named(found, number, (stem, *stems["good"], *stems["ok"]), file)
        # junk that is not there needs no ignoring
        lists = {role: {number[stem] for stem in names if stem in number} for role, names in stems.items()}
        positives = lists["good"] | lists["ok"]
        photo = number[stem]
        for shown in {*positives, photo}:
            places[shown] += [landmark] if landmark not in places[shown] else []
        junk_for.update(dict.fromkeys(lists["junk"], landmark))
        if not positives - ({photo} if not crop else set()):
            skipped.append(f"query {name} has no positive: left out")
        elif crop:
            regions.append(Photo(paths[stem], f"{name}_query", landmark, box=box))
            region = len(paths) + len(regions) - 1
            queries.append(Query(region, frozenset(positives), frozenset(lists["junk"])))
        else:
            positives.discard(photo)
            queries.append(Query(photo, frozenset(positives), frozenset(lists["junk"] | {photo})))
    photos = [_photo(i, stem, path, places, junk_for) for i, (stem, path) in enumerate(paths.items())]
    protocol = "query cropped to its box" if crop else "query is the full image, itself left out"
    database = tuple(range(len(photos)))
    everything = (*photos, *regions)
    return Dataset(str(root), everything, tuple(queries), database, "map", tuple(skipped), protocol=protocol)


def _photo(i: int, stem: str, path: Path, places: Mapping[int, list[str]], junk: Mapping[int, str]) -> Photo:
    """With the landmarks it shows, or the one it is junk for."""
    if i in places:
        first, *others = places[i]
        return Photo(path, stem, first, also=tuple(others))
    return Photo(path, stem, junk.get(i), junk=i in junk)


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


def _read_list(query: Path, name: str, role: str, root: Path) -> list[str]:
    file = query.with_name(f"{name}_{role}.txt")
    if not file.is_file():
        raise DatasetError(f"dataset {root} lacks {file.name}", found=f"{query.name} without it")
    return file.read_text(encoding="utf-8", errors="replace").split()

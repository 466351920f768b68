"""What every photo collection becomes: photos, queries with their ground truth, a database."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pocketvlad.dataset.all_but import Renumbered
from pocketvlad.errors import DatasetError, unknown

SPLITS = ("even", "odd", "all")
_KEPT_PLACES = 100  # from which of fewer photos fewer places are kept, not fewer photos of each


@dataclass(frozen=True)
class Photo:
    """One image file, or a region of it.

    Attributes:
        path: of the file.
        name: how the collection calls it; unique in it.
        place: label of its place, if the collection has places; by it collections are split.
        also: further places that it shows.
        junk: it is junk for its place and shows no other: a search may find it, a map does not hold it.
        latitude, longitude: degrees, WGS 84.
        utm: easting and northing, metres.
        box: left, top, right, bottom of the region to describe, pixels; None for the whole image.
        panorama: photos cut from one panorama share it.
    """

    path: Path
    name: str
    place: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    utm: tuple[float, float] | None = None
    box: tuple[float, float, float, float] | None = None
    panorama: str | None = None
    also: tuple[str, ...] = ()
    junk: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The places it shows; none for junk and where the collection has no places."""
        return () if self.junk or self.place is None else (self.place, *self.also)


@dataclass(frozen=True)
class Query:
    """Ground truth of one query: indices into ``Dataset.photos``; junk is taken out of the ranking."""

    photo: int
    positives: Set[int]
    junk: Set[int] = frozenset()


def queries_hash(queries: Iterable[Query]) -> str:
    """Hex SHA-256 over the ground truth of queries, in their order."""
    digest = hashlib.sha256()
    for query in queries:
        for numbers in ([query.photo], query.positives, query.junk):
            digest.update(np.sort(np.fromiter(numbers, np.int64)).tobytes() + b"|")
    return digest.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """A collection with its protocol.

    Attributes:
        name: how the user named it.
        photos: all of them.
        queries: with their ground truth.
        database: indices that are searched, in this order: a query that is not among them is never found.
        metric: ``map`` (queries without positives are left out) or ``recall`` (they count as missed).
        skipped: one line for each query or place left out, for the user.
        variants: other ground truths of the same photos, by name ("easy", "hard").
        protocol: what was compared with what, in a few words for reports ("query cropped to its box").
    """

    name: str
    photos: tuple[Photo, ...]
    queries: tuple[Query, ...]
    database: tuple[int, ...]
    metric: str = "map"
    skipped: tuple[str, ...] = ()
    variants: Mapping[str, tuple[Query, ...]] = field(default_factory=dict)
    protocol: str = ""

    def places(self) -> list[str]:
        """The places' labels, sorted."""
        return sorted({photo.place for photo in self.photos if photo.place is not None})

    def subset_places(self, keep: Callable[[int, str], bool]) -> Dataset:
        """The photos of the places for which ``keep(rank among the sorted places, label)`` holds.

        Photos of no place go.

        Raises:
            DatasetError: the collection has no places, or none is kept.
        """
        places = self.places()
        if not places:
            raise DatasetError(f"dataset {self.name} cannot be split by place", found="photos without places")
        kept = {place for rank, place in enumerate(places) if keep(rank, place)}
        if not kept:
            raise DatasetError(
                f"no place of dataset {self.name} is kept", found=f"{len(places)} places in all"
            )
        return self.subset([i for i, photo in enumerate(self.photos) if photo.place in kept])

    def split(self, which: str) -> Dataset:
        """``even`` or ``odd`` places by rank, or ``all``.

        Raises:
            DatasetError: another word, or a collection that cannot be split.
        """
        if which not in SPLITS:
            raise unknown(DatasetError, "unknown split", which, SPLITS)
        if which == "all":
            return self
        return self.subset_places(lambda rank, _: rank % 2 == SPLITS.index(which))

    def spread(self, most: int) -> Dataset:
        """About ``most`` photos and a line that says so; itself where there are no more.

        Of many places every second, third, … one is kept whole; of few, every second, third, … photo of each.
        """
        count = len(self.photos)
        if count <= most:
            return self
        rank = {place: number for number, place in enumerate(self.places())}
        a_place = max(1, min(-(-count // most), len(rank) // _KEPT_PLACES))
        seen: Counter[int] = Counter()
        chosen: list[list[int]] = []
        for number, photo in enumerate(self.photos):
            place = -1 if photo.place is None else rank[photo.place]
            if place % a_place == 0 or photo.place is None:
                chosen.append([number, seen[place]])
                seen[place] += 1
        a_photo = -(-len(chosen) // most)
        kept = [number for number, own in chosen if own % a_photo == 0]
        line = f"{len(kept)} of {count} photos are used, evenly spread"
        found = self.subset(kept)
        return replace(found, skipped=(*found.skipped, line))

    def mapped_photos(self) -> list[int]:
        """The photos that are places, which an index holds: those of the database, without junk.

        Raises:
            DatasetError: there is none.
        """
        kept = [i for i in self.database if not self.photos[i].junk]
        if not kept:
            raise DatasetError(
                f"dataset {self.name} has no photo of a map",
                found=f"{len(self.photos)} photos, all of them queries or junk",
                allowed="photos that are no queries",
            )
        return kept

    def mapped(self) -> Dataset:
        """Those photos alone; DatasetError when there is none."""
        return self.subset(self.mapped_photos())

    def subset(self, indices: Iterable[int]) -> Dataset:
        """Only these photos; queries that lose their photo go, and for mAP those that lose all positives."""
        kept = sorted(set(indices))
        new = {old: i for i, old in enumerate(kept)}
        keep_empty = self.metric != "map"

        renumbered = Renumbered(new)

        def renumber(queries: Sequence[Query]) -> tuple[Query, ...]:
            moved = [_moved(query, new, renumbered) for query in queries if query.photo in new]
            return tuple(query for query in moved if keep_empty or query.positives)

        return replace(
            self,
            photos=tuple(self.photos[i] for i in kept),
            queries=renumber(self.queries),
            database=tuple(new[i] for i in self.database if i in new),
            variants={name: renumber(queries) for name, queries in self.variants.items()},
        )


def _moved(query: Query, new: Mapping[int, int], renumbered: Renumbered) -> Query:
    """The query with every index through ``new``; photos that are not in it go."""
    return Query(new[query.photo], renumbered(query.positives), renumbered(query.junk))


def merge(datasets: Sequence[Dataset]) -> Dataset:
    """One collection of several with the same metric: each query searches all databases.

    Names and places are prefixed with their dataset's name where they would clash; variants do not survive.

    Raises:
        DatasetError: none given, or the metrics differ.
    """
    metrics = {dataset.metric for dataset in datasets}
    if len(metrics) != 1:
        found = ", ".join(sorted(metrics)) or "none"
        raise DatasetError("datasets of different protocols cannot be merged", found=found)
    if len(datasets) == 1:
        return datasets[0]
    photos: list[Photo] = []
    queries: list[Query] = []
    database: list[int] = []
    clash = _clashing_places(datasets)
    for label, dataset in zip(_labels(datasets), datasets, strict=True):
        base = len(photos)
        photos += [_prefixed(photo, label, clash) for photo in dataset.photos]
        shift = {i: i + base for i in range(len(dataset.photos))}
        renumbered = Renumbered(shift)
        queries += [_moved(query, shift, renumbered) for query in dataset.queries]
        database += [i + base for i in dataset.database]
    return Dataset(
        name=" + ".join(dataset.name for dataset in datasets),
        photos=tuple(photos),
        queries=tuple(queries),
        database=tuple(database),
        metric=metrics.pop(),
        skipped=tuple(line for dataset in datasets for line in dataset.skipped),
        protocol="; ".join(dict.fromkeys(dataset.protocol for dataset in datasets if dataset.protocol)),
    )


def _labels(datasets: Sequence[Dataset]) -> list[str]:
    """A short name for each: the last part of its path, numbered where two are the same."""
    names = [Path(dataset.name).name for dataset in datasets]
    if len(set(names)) == len(names):
        return names
    return [f"{name}-{number}" for number, name in enumerate(names, 1)]


def _clashing_places(datasets: Sequence[Dataset]) -> set[str]:
    counts: Counter[str] = Counter()
    for dataset in datasets:
        further = {place for photo in dataset.photos for place in photo.also}
        counts.update(further.union(dataset.places()))
    return {place for place, count in counts.items() if count > 1}


def _prefixed(photo: Photo, label: str, clash: set[str]) -> Photo:
    def apart(place: str) -> str:
        return f"{label}/{place}" if place in clash else place

    place = None if photo.place is None else apart(photo.place)
    return replace(photo, name=f"{label}/{photo.name}", place=place, also=tuple(map(apart, photo.also)))

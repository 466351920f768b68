"""What every photo collection becomes: photos, queries with their ground truth, a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pocketvlad.errors import DatasetError


@dataclass(frozen=True)
class Photo:
    """One image file.

    Attributes:
        path: of the file.
        name: how the collection calls it; unique in it.
        place: label of its place, if the collection has places.
        latitude, longitude: degrees, WGS 84.
        utm: easting and northing, metres.
        box: left, top, right, bottom of the query region, pixels.
    """

    path: Path
    name: str
    place: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    utm: tuple[float, float] | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Query:
    """Ground truth of one query: indices into ``Dataset.photos``; junk is taken out of the ranking."""

    photo: int
    positives: frozenset[int]
    junk: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Dataset:
    """A collection with its protocol.

    Attributes:
        name: how the user named it.
        photos: all of them.
        queries: with their ground truth.
        database: indices that are searched.
        metric: ``map`` or ``recall``.
        skipped: one line for each query or place left out, for the user.
    """

    name: str
    photos: tuple[Photo, ...]
    queries: tuple[Query, ...]
    database: tuple[int, ...]
    metric: str = "map"
    skipped: tuple[str, ...] = ()

    def places(self) -> list[str]:
        """The places' labels, sorted."""
        return sorted({photo.place for photo in self.photos if photo.place is not None})

    def subset_places(self, keep: Callable[[int, str], bool]) -> Dataset:
        """The photos of the places for which ``keep(rank among the sorted places, label)`` holds."""
        kept = {place for rank, place in enumerate(self.places()) if keep(rank, place)}
        return self.subset([i for i, photo in enumerate(self.photos) if photo.place in kept])

    def split(self, which: str) -> Dataset:
        """``even`` or ``odd`` places by rank, or ``all``."""
        if which == "all":
            return self
        return self.subset_places(lambda rank, _: rank % 2 == ("even", "odd").index(which))

    def subset(self, indices: Iterable[int]) -> Dataset:
        """Only these photos; queries that lose their photo or all positives go."""
        kept = sorted(set(indices))
        new = {old: i for i, old in enumerate(kept)}
        queries = [
            Query(
                new[query.photo],
                frozenset(new[i] for i in query.positives if i in new),
                frozenset(new[i] for i in query.junk if i in new),
            )
            for query in self.queries
            if query.photo in new
        ]
        if self.metric == "map":
            queries = [query for query in queries if query.positives]
        database = tuple(new[i] for i in self.database if i in new)
        return replace(
            self, photos=tuple(self.photos[i] for i in kept), queries=tuple(queries), database=database
        )


def merge(datasets: list[Dataset]) -> Dataset:
    """One collection of several with the same metric: each query searches all databases.

    Raises:
        DatasetError: the metrics differ.
    """
    metrics = {dataset.metric for dataset in datasets}
    if len(metrics) != 1:
        raise DatasetError("datasets of different protocols cannot be merged", found=", ".join(sorted(metrics)))
    photos: list[Photo] = []
    queries: list[Query] = []
    database: list[int] = []
    for dataset in datasets:
        base = len(photos)
        photos += [replace(photo, name=_unique(photo.name, dataset, datasets)) for photo in dataset.photos]
        queries += [
            Query(
                query.photo + base,
                frozenset(i + base for i in query.positives),
                frozenset(i + base for i in query.junk),
            )
            for query in dataset.queries
        ]
        database += [i + base for i in dataset.database]
    skipped = tuple(line for dataset in datasets for line in dataset.skipped)
    name = " + ".join(dataset.name for dataset in datasets)
    return Dataset(name, tuple(photos), tuple(queries), tuple(database), metrics.pop(), skipped)


def _unique(name: str, dataset: Dataset, datasets: list[Dataset]) -> str:
    return name if len(datasets) == 1 else f"{Path(dataset.name).name}/{name}"

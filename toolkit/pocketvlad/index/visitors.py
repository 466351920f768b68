"""Which photos of a dataset make the index, and which play the visitor's who stands at one of its places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketvlad.dataset.types import Dataset
from pocketvlad.index.about import clean_text
from pocketvlad.index.types import PlaceIndex


def split_visitors(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """The photos of the index, and one photo of each place that can be recognised by the others.

    Queries outside the database are visitors; where every photo is in it, the first of each place is taken out.
    A file a visitor's photo is cut from is not in the index either.

    Raises:
        DatasetError: no photo of a map.
    """
    visitors = {photo for photo, _ in _visits(dataset)}
    files = {dataset.photos[photo].path for photo in visitors}
    kept = [i for i in dataset.mapped_photos() if dataset.photos[i].path not in files]
    return dataset.subset(kept), dataset.subset(visitors)


@dataclass(frozen=True)
class Visit:
    """What an index answers one visitor.

    Attributes:
        cosine: of the best match.
        right: whether that shows the visitor's place.
        elsewhere: the best cosine among photos that are not right, as if the place were unknown; None without any.
    """

    cosine: float
    right: bool
    elsewhere: float | None


def visits(index: PlaceIndex, descriptors: np.ndarray, dataset: Dataset) -> list[Visit]:
    """Each visitor's answer.

    Args:
        index: of the first part of :func:`split_visitors`.
        descriptors: float32 [visitors, dim], of the photos of the second part.
        dataset: what was split.
    """
    names = np.array([entry.name for entry in index.entries])
    cosines = descriptors @ index.descriptors().T
    found = []
    for row, (_, right) in zip(cosines, sorted(_visits(dataset)), strict=True):
        same = np.isin(names, [clean_text(dataset.photos[photo].name) for photo in right])
        elsewhere = float(row[~same].max()) if not same.all() else None
        best = int(row.argmax())
        found.append(Visit(float(row[best]), bool(same[best]), elsewhere))
    return found


def examples(visitors: Dataset, found: Sequence[Visit], threshold: float | None, count: int) -> list[Path]:
    """Visitors' photos to show what an app can do: named rightly where there are such, spread over the places.

    Args:
        visitors: the second part of :func:`split_visitors`.
        found: the answer to each.
        threshold: of the index.
        count: so many at the most.
    """
    files = [photo.path for photo in visitors.photos]
    named = [
        file
        for file, visit in zip(files, found, strict=True)
        if visit.right and (threshold is None or visit.cosine >= threshold)
    ]
    shown = named or files
    return shown[:: max(1, len(shown) // count)][:count]


def _visits(dataset: Dataset) -> Iterator[tuple[int, frozenset[int]]]:
    """Each visitor and the photos of the index that are right for it; a place has one visitor."""
    mapped = set(dataset.mapped_photos())
    answered: set[int] = set()
    for query in dataset.queries:
        file = dataset.photos[query.photo].path
        right = frozenset(i for i in query.positives & mapped if dataset.photos[i].path != file)
        if right and query.photo not in answered and not right & answered:
            answered |= {query.photo, *right}
            yield query.photo, right

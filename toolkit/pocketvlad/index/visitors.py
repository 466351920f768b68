"""Which photos of a dataset make the index, and which play the visitor's who stands at one of its places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pocketvlad.dataset.types import Dataset
from pocketvlad.index.build import clean_text
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


def recognised(index: PlaceIndex, rows: Sequence[int] | np.ndarray, dataset: Dataset) -> list[bool]:
    """Whether each visitor's best match is right.

    Args:
        index: of the first part of :func:`split_visitors`.
        rows: int [visitors], the best row of each photo of the second part.
        dataset: what was split.
    """
    visits = sorted(_visits(dataset))
    names = [{clean_text(dataset.photos[i].name) for i in right} for _, right in visits]
    return [index.entries[int(row)].name in right for row, right in zip(rows, names, strict=True)]


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

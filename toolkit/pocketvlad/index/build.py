"""An index from photos: described, thumbnailed, labelled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from pocketvlad.dataset.types import Dataset, Photo
from pocketvlad.errors import IndexFormatError
from pocketvlad.evaluate.describe import Collected, Reading, collected
from pocketvlad.evaluate.files import release, room
from pocketvlad.index.about import THUMBNAIL, about_photo, entry_of, label_of, require_texts
from pocketvlad.index.entries import ChainedEntries, LazyEntries, chosen_entries, split_label
from pocketvlad.index.names import hashes_of, repeated
from pocketvlad.index.rules import require_countable
from pocketvlad.index.types import Encoded, PlaceIndex, encode_vectors

_JUDGES = 2000  # photos at most that ask for a threshold; each is compared with all, so that of more photos fewer ask
_FEWEST_JUDGES = 200
_COMPARED = 500_000_000  # pairs of photos
_BLOCK = 64  # of them at a time: with _ROWS of the others a few megabytes
_ROWS = 16_384  # of an index at a time
Progress = Callable[[int, int], None]


def build_index(
    describe: Callable[[Any], np.ndarray],
    photos: Dataset | Sequence[Photo],
    fingerprint: bytes,
    *,
    dtype: str = "float16",
    info: Mapping[str, Any] | None = None,
    thumbnail_px: int = THUMBNAIL,
    progress: Progress | None = None,
) -> tuple[PlaceIndex, list[str]]:
    """Index every readable photo of a map: of a dataset its database, without queries and junk.

    Args:
        describe: path -> unit descriptor float32 [dim].
        photos: with place labels, and positions or none (then EXIF's are taken).
        fingerprint: 32 bytes of the describing program.
        dtype: ``float32``, ``float16`` or ``int8``.
        info: provenance.
        thumbnail_px: longer side of the thumbnails; 0 for none.
        progress: called with photos done and in all.

    Returns:
        The index, its threshold suggested from its own places, and a line for each thing left out.

    Raises:
        PhotoError: no photo could be read.
        DatasetError: a dataset of queries alone.
        ArtifactError: a descriptor that is not finite.
        IndexFormatError: an unknown dtype.
    """
    reading = Reading(beside=partial(about_photo, thumbnail_px=thumbnail_px))
    with indexed(
        describe, photos, fingerprint, dtype=dtype, info=info, reading=reading, progress=progress
    ) as found:
        index, skipped = found
        return replace(index, entries=tuple(index.entries)), skipped


@contextmanager
def indexed(
    describe: Callable[[Any], np.ndarray],
    photos: Dataset | Sequence[Photo],
    fingerprint: bytes,
    *,
    dtype: str = "float16",
    info: Mapping[str, Any] | None = None,
    reading: Reading | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[PlaceIndex, list[str]]]:
    """The same for as long as the block lasts; of many photos what is large stays in files.

    Args:
        reading: how photos are read; what is beside them is :func:`about_photo`'s.
    """
    reading = reading or Reading(beside=about_photo)
    given = photos.mapped().photos if isinstance(photos, Dataset) else tuple(photos)
    name, lines = (photos.name, photos.skipped) if isinstance(photos, Dataset) else ("the photos", ())
    require_texts(given)
    dataset = Dataset(name, given, (), tuple(range(len(given))), skipped=lines)
    with collected(describe, dataset, reading, progress=progress) as found:
        entries = LazyEntries(len(found), lambda row: entry_of(found.readable.photos[row], found.beside(row)))
        vectors = _encoded(found, dtype)
        index = PlaceIndex(*vectors, entries, fingerprint, None, dict(info or {}))
        yield (
            replace(index, threshold=suggest_threshold(index, _labels_of(found.readable.photos))),
            list(found.readable.skipped),
        )


def _labels_of(photos: Sequence[Photo]) -> Iterator[list[str]]:
    """Some at a time."""
    for at in range(0, len(photos), _ROWS):
        yield [label_of(photo) for photo in photos[at : at + _ROWS]]


def _encoded(found: Collected, dtype: str) -> Encoded:
    """:func:`encode_vectors` in blocks of rows."""
    rows, at = iter(found), 0
    parts: list[np.ndarray | None] = []
    while block := list(islice(rows, _ROWS)):
        some = encode_vectors(np.stack(block), dtype)
        if len(block) == len(found):
            return some
        parts = parts or [_room(part, len(found)) for part in some]
        for part, values in zip(parts, some, strict=True):
            if part is not None:
                part[at : at + len(block)] = values
                release(part)
        at += len(block)
    return _encoded_of(parts)


def _room(part: np.ndarray | None, count: int) -> np.ndarray | None:
    return None if part is None else room((count, *part.shape[1:]), part.dtype)


def join_indices(indices: Sequence[PlaceIndex], *, replace_names: bool = False) -> PlaceIndex:
    """All together, with vectors of the first one's type; of many photos what is large stays in files.

    Args:
        indices: two or more.
        replace_names: photos of a later index take the place of those of the same name.

    Raises:
        IndexFormatError: another model's descriptors, names that are there already, or too many photos.
    """
    require_alike(indices)
    first = indices[0]
    parts = [part for index in indices for part in index.parts]
    kept, gone = _kept_rows(parts)
    if gone and not replace_names:
        raise IndexFormatError(
            f"{len(gone)} of these photos are in the index already",
            found=repr(gone[0]),
            do="replace them, or leave them out",
        )
    require_countable(sum(map(len, kept)))
    entries = [chosen_entries(part.entries, rows) for part, rows in zip(parts, kept, strict=True)]
    stored = _joined(parts, kept)
    result = PlaceIndex(*stored, ChainedEntries(entries), first.fingerprint, None, first.info)
    return replace(result, threshold=suggest_threshold(result))


def require_alike(indices: Sequence[PlaceIndex]) -> None:
    """Raises IndexFormatError unless all are of the first one's program and dimension."""
    first = indices[0]
    for other in indices[1:]:
        require_fingerprint(first, other.fingerprint, "the photos to add")
        if other.dim != first.dim:
            raise IndexFormatError("the dimensions differ", found=other.dim, allowed=first.dim)


def _kept_rows(parts: Sequence[PlaceIndex]) -> tuple[list[np.ndarray], list[str]]:
    """Of each part the rows whose name no later one has, int64 [m], and the names of the others."""
    ends = np.cumsum([len(part) for part in parts])
    hashes = np.concatenate([hashes_of(part.texts("name"), len(part)) for part in parts])

    def place(row: int) -> tuple[int, int]:
        part = int(np.searchsorted(ends, row, side="right"))
        return part, row - int(ends[part]) + len(parts[part])

    def name_of(row: int) -> str:
        part, own = place(row)
        return parts[part].entries[own].name

    gone = {row: name for name, rows in repeated(hashes, name_of).items() for row in rows[:-1]}
    left: list[list[int]] = [[] for _ in parts]
    for row in gone:
        part, own = place(row)
        left[part].append(own)
    kept = [np.setdiff1d(np.arange(len(part)), rows) for part, rows in zip(parts, left, strict=True)]
    return kept, [gone[row] for row in sorted(gone)]


def _joined(parts: Sequence[PlaceIndex], kept: Sequence[np.ndarray]) -> Encoded:
    """The kept rows of all, one part after the other, as the first one stores them."""
    dtype, count, at = parts[0].vectors.dtype.name, sum(map(len, kept)), 0
    like = encode_vectors(parts[0].vectors_at(np.zeros(1, np.int64)), dtype)
    found = [_room(array, count) for array in like]
    for part, rows in zip(parts, kept, strict=True):
        for begin in range(0, len(rows), _ROWS):
            some = rows[begin : begin + _ROWS]
            for array, values in zip(found, part.encoded_at(some, dtype), strict=True):
                if array is not None:
                    array[at : at + len(some)] = values
            at += len(some)
            release(*found)
            part.release()
    return _encoded_of(found)


def _encoded_of(arrays: Sequence[np.ndarray | None]) -> Encoded:
    vectors, *others = arrays
    assert vectors is not None
    return Encoded(vectors, *others)


def require_fingerprint(index: PlaceIndex, fingerprint: bytes, what: str) -> None:
    """Raises IndexFormatError unless ``what`` was described by the index's own program."""
    if index.fingerprint != fingerprint:
        raise IndexFormatError(
            f"the index belongs to another model than {what}",
            found=fingerprint.hex()[:12],
            allowed=index.fingerprint.hex()[:12],
            do="build the index again with this program",
        )


def suggest_threshold(index: PlaceIndex, labels: Iterable[Sequence[str]] | None = None) -> float | None:
    """The cosine that best tells a known place from an unknown one, by the index's own photos.

    The threshold maximises the mean of both rates of :func:`judging_matches`, accepted and refused, half way between
    the cosines on its two sides. None when no place has two photos or there is only one place.

    ``labels``: of its photos, some at a time, where they are at hand.
    """
    known, unknown = judging_matches(index, labels)
    if not known.size or not unknown.size:
        return None
    accepted, refused = np.sort(known), np.sort(unknown)
    cosines = np.unique(np.concatenate([accepted, refused]))
    candidates = np.concatenate([cosines[:1], (cosines[:-1] + cosines[1:]) / 2])
    hits = 1 - np.searchsorted(accepted, candidates, side="left") / len(accepted)
    rejections = np.searchsorted(refused, candidates, side="left") / len(refused)
    return float(np.clip(candidates[np.argmax(hits + rejections)], -1, 1))


def judging_matches(
    index: PlaceIndex, labels: Iterable[Sequence[str]] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Best cosines of the index's own photos where their place is known, and where it is unknown, float32 [n], [m].

    Every photo with a label (of a large index 2,000, evenly spaced) asks the others twice: with its place there (its
    best match should be accepted) and with its place taken out (its best match should be refused).
    """
    numbers = place_numbers(index.texts("label") if labels is None else labels)
    labelled = np.flatnonzero(numbers[:, 0])
    return _best_matches(index, labelled, numbers[labelled])


def place_numbers(labels: Iterable[Sequence[str]]) -> np.ndarray:
    """Numbers of the places that each label names, int64 [n, most places of a label, 1 at least]; 0 fills the rows.

    ``labels``: some at a time. A place's number is its hash: equal ones have one number, and it means nothing else.
    """
    blocks = []
    for block in labels:
        named = [[hash(place) or 1 for place in split_label(label)] for label in block]
        numbers = np.zeros((len(named), max(1, *map(len, named), 1)), np.int64)
        for row, places in zip(numbers, named, strict=True):
            row[: len(places)] = places
        blocks.append(numbers)
    most = max(numbers.shape[1] for numbers in blocks)
    return np.concatenate([np.pad(numbers, ((0, 0), (0, most - numbers.shape[1]))) for numbers in blocks])


def _best_matches(index: PlaceIndex, rows: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best cosine of each judging photo inside its places and outside them, where there is such a photo.

    Summed in float64: another order of the sums, as of other threads, does not change a float32.

    ``rows``: int64 [n], of the index; ``places``: int64 [n, most places of a row].
    """
    count = len(rows)
    asked = min(count, _JUDGES, max(_FEWEST_JUDGES, _COMPARED // max(count, 1)))
    judges = np.unique(np.linspace(0, count - 1, asked).astype(np.int64)) if count else rows
    asking = index.vectors_at(rows[judges]).astype(np.float64)
    inside, outside = (np.full(len(judges), -np.inf, np.float32) for _ in range(2))
    for first in range(0, count, _ROWS):
        some = slice(first, first + _ROWS)
        answering, at_places = index.vectors_at(rows[some]).astype(np.float64), _by_place(places[some])
        for begin in range(0, len(judges), _BLOCK):
            block = slice(begin, begin + _BLOCK)
            cosines = (asking[block] @ answering.T).astype(np.float32)
            same = _share_a_place(places[judges[block]], *at_places, len(answering))
            outside[block] = np.maximum(outside[block], np.where(same, -np.inf, cosines).max(axis=1))
            same &= judges[block, None] != np.arange(first, first + len(answering))
            inside[block] = np.maximum(inside[block], np.where(same, cosines, -np.inf).max(axis=1))
        index.release()
    known, unknown = (part[np.isfinite(part)] for part in (inside, outside))
    return known, unknown


def _by_place(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place numbers int64 [n, m] as pairs in the order of their numbers: the numbers and their rows, int64 [pairs]."""
    rows, columns = np.nonzero(places)
    numbers = places[rows, columns]
    order = np.argsort(numbers, kind="stable")
    return numbers[order], rows[order]


def _share_a_place(some: np.ndarray, numbers: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """bool [s, count], from place numbers int64 [s, m] and the pairs of :func:`_by_place`."""
    same = np.zeros((len(some), count), bool)
    for line, places in zip(same, some, strict=True):
        mine = places[places != 0]
        firsts, ends = (np.searchsorted(numbers, mine, side) for side in ("left", "right"))
        for first, end in zip(firsts.tolist(), ends.tolist(), strict=True):
            line[rows[first:end]] = True
    return same

"""The photos of an index beside their vectors: in memory, in a file, made when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import overload

import numpy as np

from pocketvlad.evaluate.files import release
from pocketvlad.index import rules

_SEPARATOR = " | "  # between the places of one photo


def join_labels(places: Sequence[str]) -> str:
    """One label for a photo of several places: ``hall | stairs``."""
    return _SEPARATOR.join(places)


def split_label(label: str) -> tuple[str, ...]:
    """The places that a label names; none for an empty one."""
    return tuple(label.split(_SEPARATOR)) if label else ()


@dataclass(frozen=True)
class Entry:
    """One photo of an index.

    Attributes:
        name: of the image, unique in the index.
        label: of its place, or of its places (:func:`join_labels`); empty where it has none.
        latitude, longitude: degrees, or None.
        thumbnail: JPEG bytes, possibly none.
    """

    name: str
    label: str = ""
    latitude: float | None = None
    longitude: float | None = None
    thumbnail: bytes = b""


class MappedEntries(Sequence[Entry]):
    """The entries of an open file, read one by one: thumbnails nobody asks for stay on disk."""

    def __init__(self, records: np.ndarray, blob: np.ndarray):
        """``records``: RECORD [n]; ``blob``: uint8."""
        self._records, self._blob = records, blob

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, at: int | slice) -> Entry | tuple[Entry, ...]:
        if isinstance(at, slice):
            return tuple(self._entry(record) for record in self._records[at])
        return self._entry(self._records[at])

    def __iter__(self) -> Iterator[Entry]:
        return (self._entry(record) for record in self._records)

    def _entry(self, record: np.void) -> Entry:
        name, label, thumbnail = (
            rules.section(self._blob, int(record[part]), int(record[f"{part}_bytes"])).tobytes()
            for part in ("name", "label", "thumbnail")
        )
        latitude, longitude = float(record["latitude"]), float(record["longitude"])
        known = not math.isnan(latitude)
        return Entry(
            name.decode(),
            label.decode(),
            latitude if known else None,
            longitude if known else None,
            thumbnail,
        )

    def texts(self, what: str, rows: range) -> list[str]:
        """``name`` or ``label`` of these rows alone, without touching thumbnails."""
        records = self._records[rows.start : rows.stop]
        return [
            self._blob[start : start + size].tobytes().decode()
            for start, size in zip(records[what].tolist(), records[f"{what}_bytes"].tolist(), strict=True)
        ]

    def release(self) -> None:
        """Let what was read of a large file leave the memory."""
        release(self._records, self._blob)


class ChainedEntries(Sequence[Entry]):
    """Entries of several parts, one part after the other.

    Attributes:
        pieces: of each part.
    """

    def __init__(self, pieces: Sequence[Sequence[Entry]]):
        self.pieces = tuple(pieces)
        self._ends = np.cumsum([len(piece) for piece in self.pieces])

    def __len__(self) -> int:
        return int(self._ends[-1])

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, at: int | slice) -> Entry | tuple[Entry, ...]:
        rows = range(len(self))[at]
        return tuple(map(self._entry, rows)) if isinstance(rows, range) else self._entry(rows)

    def __iter__(self) -> Iterator[Entry]:
        return chain.from_iterable(self.pieces)

    def _entry(self, row: int) -> Entry:
        piece = int(np.searchsorted(self._ends, row, side="right"))
        return self.pieces[piece][row - int(self._ends[piece]) + len(self.pieces[piece])]


class LazyEntries(Sequence[Entry]):
    """Entries that are made when they are asked for."""

    def __init__(self, count: int, make: Callable[[int], Entry]):
        """``make``: row -> entry."""
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, at: int | slice) -> Entry | tuple[Entry, ...]:
        rows = range(self._count)[at]
        return tuple(map(self._make, rows)) if isinstance(rows, range) else self._make(rows)

    def __iter__(self) -> Iterator[Entry]:
        return map(self._make, range(self._count))


def chosen_entries(entries: Sequence[Entry], rows: np.ndarray) -> Sequence[Entry]:
    """These rows alone, int64 [m]; all of them as they are."""
    if len(rows) == len(entries):
        return entries
    return LazyEntries(len(rows), lambda row: entries[int(rows[row])])

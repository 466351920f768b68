"""What an index is in memory: its entries, its vectors, and the C core's view of them."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np

from pocketvlad.core import native
from pocketvlad.errors import IndexFormatError, unknown
from pocketvlad.evaluate.files import release
from pocketvlad.index import rules
from pocketvlad.index.rules import DTYPES

FINGERPRINT_BYTES = 32
_SEPARATOR = " | "  # between the places of one photo

_POINTERS = ("vectors", "scales", "residuals", "records", "blob", "info", "fingerprint")


class CIndex(ctypes.Structure):
    """``pv_index`` of pvix.h."""

    _fields_ = [
        *[(n, ctypes.c_void_p) for n in _POINTERS],
        ("info_bytes", ctypes.c_uint64),
        ("count", ctypes.c_int64),
        ("dim", ctypes.c_int32),
        ("dtype", ctypes.c_int32),
        ("threshold", ctypes.c_float),
    ]


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

    def texts(self, part: str) -> list[str]:
        """``name`` or ``label`` of each alone, without touching thumbnails."""
        return [
            self._blob[start : start + size].tobytes().decode()
            for start, size in zip(
                self._records[part].tolist(), self._records[f"{part}_bytes"].tolist(), strict=True
            )
        ]


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


def joined_entries(parts: Sequence[Sequence[Entry]], kept: Sequence[np.ndarray]) -> Sequence[Entry]:
    """Of each part the rows ``kept``, int64 [m], one part after the other."""
    ends = np.cumsum([len(rows) for rows in kept])

    def entry(row: int) -> Entry:
        part = int(np.searchsorted(ends, row, side="right"))
        return parts[part][int(kept[part][row - (int(ends[part]) - len(kept[part]))])]

    return LazyEntries(int(ends[-1]), entry)


@dataclass(frozen=True, eq=False)
class PlaceIndex:
    """An index in memory or mapped.

    Attributes:
        vectors: [n, dim] float32, float16 or int8, unit rows.
        scales: float32 [n] for int8, else None.
        residuals: uint8 [n, ceil(dim / 4)] for int8, else None: 2 bits a value, the first in the lowest.
        entries: n photos.
        fingerprint: 32 bytes, of the program whose descriptors these are.
        threshold: cosine under which a place is unknown, or None.
        info: what the index was made from.

    Raises:
        IndexFormatError: the parts do not fit each other.
    """

    vectors: np.ndarray
    scales: np.ndarray | None
    residuals: np.ndarray | None
    entries: Sequence[Entry]
    fingerprint: bytes
    threshold: float | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dtype, shape = self.vectors.dtype.name, self.vectors.shape
        if dtype not in DTYPES or len(shape) != 2 or shape[0] != len(self.entries) or 0 in shape:
            raise IndexFormatError(
                "the vectors do not fit the index",
                found=f"{dtype} {list(shape)}",
                allowed=f"{', '.join(DTYPES)} [{len(self.entries)}, dim], one photo or more",
            )
        parts = (self.scales, self.residuals)
        wanted = (shape[:1], (shape[0], rules.residual_bytes(shape[1]))) if dtype == "int8" else (None, None)
        if tuple(None if part is None else part.shape for part in parts) != wanted:
            raise IndexFormatError(
                "int8 vectors have one scale and one row of residuals each, others none",
                found=f"{dtype} vectors",
            )
        if len(self.fingerprint) != FINGERPRINT_BYTES:
            raise IndexFormatError(
                "the fingerprint has another length", found=len(self.fingerprint), allowed=FINGERPRINT_BYTES
            )

    @property
    def dim(self) -> int:
        return self.vectors.shape[1]

    def __len__(self) -> int:
        return len(self.entries)

    def rows(self, rows: np.ndarray) -> PlaceIndex:
        """These rows alone, int [m], each as often as it is named."""
        scales, residuals = (None if part is None else part[rows] for part in (self.scales, self.residuals))
        entries = tuple(self.entries[int(row)] for row in rows)
        return replace(self, vectors=self.vectors[rows], scales=scales, residuals=residuals, entries=entries)

    def descriptors(self) -> np.ndarray:
        """The vectors as float32 [n, dim], refined if they are int8."""
        return decode_vectors(self.vectors, self.scales, self.residuals)

    def stored_at(self, rows: np.ndarray) -> Encoded:
        """These rows alone, int [m], as they are stored."""
        scales, residuals = (None if part is None else part[rows] for part in (self.scales, self.residuals))
        return Encoded(self.vectors[rows], scales, residuals)

    def vectors_at(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of these rows alone, int [m] -> float32 [m, dim]."""
        return decode_vectors(*self.stored_at(rows))

    def release(self) -> None:
        """Let the vectors of a large file leave the memory; they are read again when they are asked for."""
        release(self.vectors, self.scales, self.residuals)

    def labels(self) -> list[str]:
        """The label of each photo."""
        return self._texts("label")

    def names(self) -> list[str]:
        """The name of each photo."""
        return self._texts("name")

    def _texts(self, part: str) -> list[str]:
        if isinstance(self.entries, MappedEntries):
            return self.entries.texts(part)
        return [getattr(entry, part) for entry in self.entries]

    def places(self) -> list[str]:
        """Every place once, sorted."""
        return sorted({place for label in self.labels() for place in split_label(label)})

    @cached_property
    def c_index(self) -> CIndex:
        """The C view of the vectors, for searching (names and thumbnails stay in Python)."""
        return CIndex(
            vectors=self.vectors.ctypes.data,
            scales=None if self.scales is None else self.scales.ctypes.data,
            residuals=None if self.residuals is None else self.residuals.ctypes.data,
            count=len(self),
            dim=self.dim,
            dtype=DTYPES.index(self.vectors.dtype.name),
        )

    @cached_property
    def sign_bits(self) -> np.ndarray:
        """Sign bits of every row for the 1-bit first pass, uint64 [n, ceil(dim / 64)] (search.h)."""
        signs = np.empty((len(self), -(-self.dim // 64)), np.uint64)
        rows = ctypes.c_int64(len(self))
        native.core().pv_signs(
            ctypes.byref(self.c_index), ctypes.c_int64(0), rows, ctypes.c_void_p(signs.ctypes.data)
        )
        return signs


def decode_vectors(
    vectors: np.ndarray, scales: np.ndarray | None, residuals: np.ndarray | None
) -> np.ndarray:
    """The inverse of :func:`encode_vectors`, for all rows or some: float32 [n, dim]."""
    widened = np.asarray(vectors, np.float32)
    if scales is None or residuals is None:
        return widened
    quarters = residuals[:, :, None] >> np.arange(0, 8, 2, dtype=np.uint8) & 3
    widened += (quarters.reshape(len(vectors), -1)[:, : vectors.shape[1]] - np.float32(1.5)) / 4
    return widened * scales[:, None]


class Encoded(NamedTuple):
    """Stored vectors [n, dim] and, for int8, scales float32 [n] and residuals uint8 [n, ceil(dim / 4)]."""

    vectors: np.ndarray
    scales: np.ndarray | None
    residuals: np.ndarray | None


def encode_vectors(descriptors: np.ndarray, dtype: str) -> Encoded:
    """float32 [n, dim] as it is stored.

    Raises:
        IndexFormatError: an unknown type, or values that are not finite.
    """
    if dtype not in DTYPES:
        raise unknown(IndexFormatError, "unknown vector type", dtype, DTYPES)
    if not np.isfinite(descriptors).all():
        raise IndexFormatError("a descriptor is not finite", do="check the program that made it")
    if dtype != "int8":
        return Encoded(np.ascontiguousarray(descriptors, dtype), None, None)
    largest = np.abs(descriptors).max(axis=1)
    scales = (np.maximum(largest, np.finfo(np.float32).tiny * 127) / 127).astype(np.float32)
    steps = descriptors / scales[:, None]
    values = np.clip(np.rint(steps), -127, 127).astype(np.int8)
    return Encoded(values, scales, _encode_residuals(steps - values))


def _encode_residuals(rests: np.ndarray) -> np.ndarray:
    """What rounding left, float32 [n, dim] within half a step -> its quarter of the step, packed."""
    quarters = np.clip(np.floor((rests + 0.5) * 4), 0, 3).astype(np.uint8)
    padded = np.zeros((len(rests), 4 * rules.residual_bytes(rests.shape[1])), np.uint8)
    padded[:, : rests.shape[1]] = quarters
    shifted = padded.reshape(len(rests), -1, 4) << np.arange(0, 8, 2, dtype=np.uint8)
    return np.bitwise_or.reduce(shifted, axis=2)

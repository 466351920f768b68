"""What an index is in memory: its entries, its vectors, and the C core's view of them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from pocketvlad.core import native
from pocketvlad.errors import IndexFormatError, unknown
from pocketvlad.evaluate.files import release
from pocketvlad.index import rules
from pocketvlad.index.chained import Array, Chained, pieces_of
from pocketvlad.index.entries import ChainedEntries, Entry, MappedEntries, split_label
from pocketvlad.index.names import distinct
from pocketvlad.index.rules import DTYPES

FINGERPRINT_BYTES = 32
_TEXTS = 65_536  # names or labels in memory together
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


@dataclass(frozen=True, eq=False)
class PlaceIndex:
    """An index in memory or mapped.

    Arrays and entries of a file of several parts are chained: what needs them in one piece goes by :attr:`parts`.

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

    vectors: Array
    scales: Array | None
    residuals: Array | None
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

    @cached_property
    def parts(self) -> tuple[PlaceIndex, ...]:
        """Those of its file, each with arrays in one piece; itself where there is one."""
        if not isinstance(self.vectors, Chained) or not isinstance(self.entries, ChainedEntries):
            return (self,)
        none = (None,) * len(self.vectors.pieces)
        stored = [
            none if array is None else pieces_of(array)
            for array in (self.vectors, self.scales, self.residuals)
        ]
        return tuple(
            replace(self, vectors=vectors, scales=scales, residuals=residuals, entries=entries)
            for vectors, scales, residuals, entries in zip(*stored, self.entries.pieces, strict=True)
        )

    def rows(self, rows: np.ndarray) -> PlaceIndex:
        """These rows alone, int [m], each as often as it is named."""
        scales, residuals = (None if part is None else part[rows] for part in (self.scales, self.residuals))
        entries = tuple(self.entries[int(row)] for row in rows)
        return replace(self, vectors=self.vectors[rows], scales=scales, residuals=residuals, entries=entries)

    def descriptors(self) -> np.ndarray:
        """The vectors as float32 [n, dim], refined if they are int8."""
        return self.vectors_at(slice(None))

    def stored_at(self, rows: np.ndarray | slice) -> Encoded:
        """These rows alone, int [m] or a slice, as they are stored."""
        scales, residuals = (None if part is None else part[rows] for part in (self.scales, self.residuals))
        return Encoded(self.vectors[rows], scales, residuals)

    def encoded_at(self, rows: np.ndarray | slice, dtype: str) -> Encoded:
        """These rows alone as an index of another type stores them; of its own type they stay as they are."""
        stored = self.stored_at(rows)
        return stored if self.vectors.dtype.name == dtype else encode_vectors(decode_vectors(*stored), dtype)

    def count_places(self) -> int:
        """How many places there are."""
        return distinct(
            [place for label in block for place in split_label(label)] for block in self.texts("label")
        )

    def vectors_at(self, rows: np.ndarray | slice) -> np.ndarray:
        """The vectors of these rows alone, int [m] or a slice -> float32 [m, dim]."""
        return decode_vectors(*self.stored_at(rows))

    def release(self) -> None:
        """Let the vectors of a large file leave the memory; they are read again when they are asked for."""
        for array in (self.vectors, self.scales, self.residuals):
            release(*(() if array is None else pieces_of(array)))

    def labels(self) -> list[str]:
        """The label of each photo."""
        return [label for block in self.texts("label") for label in block]

    def names(self) -> list[str]:
        """The name of each photo."""
        return [name for block in self.texts("name") for name in block]

    def texts(self, what: str) -> Iterator[list[str]]:
        """``name`` or ``label`` of each photo, some at a time; no thumbnail is touched."""
        pieces = self.entries.pieces if isinstance(self.entries, ChainedEntries) else (self.entries,)
        for entries in pieces:
            for begin in range(0, len(entries), _TEXTS):
                rows = range(begin, min(begin + _TEXTS, len(entries)))
                if isinstance(entries, MappedEntries):
                    yield entries.texts(what, rows)
                    entries.release()
                else:
                    yield [getattr(entries[row], what) for row in rows]

    def places(self) -> list[str]:
        """Every place once, sorted."""
        labels = {label for block in self.texts("label") for label in block}
        return sorted({place for label in labels for place in split_label(label)})

    @cached_property
    def c_index(self) -> CIndex:
        """The C view of the vectors of one part, for searching (names and thumbnails stay in Python)."""
        (vectors,) = pieces_of(self.vectors)
        scales, residuals = (
            None if array is None else pieces_of(array)[0].ctypes.data
            for array in (self.scales, self.residuals)
        )
        return CIndex(
            vectors=vectors.ctypes.data,
            scales=scales,
            residuals=residuals,
            count=len(self),
            dim=self.dim,
            dtype=DTYPES.index(self.vectors.dtype.name),
        )

    @cached_property
    def sign_bits(self) -> np.ndarray:
        """Sign bits of every row of one part for the 1-bit first pass, uint64 [n, ceil(dim / 64)] (search.h)."""
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


def chained(parts: Sequence[PlaceIndex]) -> PlaceIndex:
    """Parts of one type, dimension and program as one index: information of the first, threshold of the last.

    Raises:
        IndexFormatError: more photos than an index holds.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    rules.require_countable(sum(map(len, parts)))

    def together(arrays: Sequence[Array | None]) -> Chained | None:
        held = [piece for array in arrays if array is not None for piece in pieces_of(array)]
        return Chained(held) if held else None

    vectors = together([part.vectors for part in parts])
    assert vectors is not None
    return PlaceIndex(
        vectors,
        together([part.scales for part in parts]),
        together([part.residuals for part in parts]),
        ChainedEntries([part.entries for part in parts]),
        first.fingerprint,
        parts[-1].threshold,
        first.info,
    )

"""Reads and writes ``.pvix`` (FORMAT.md). The C core checks every rule; Python reads what it accepted."""

from __future__ import annotations

import ctypes
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad.artifact import atomic_path
from pocketvlad.errors import IndexFormatError
from pocketvlad.lut import native

DTYPES = ("float32", "float16", "int8")
_HEADER = struct.Struct("<8sIIQIf32s8Q")
_RECORD = struct.Struct("<3Q2d4I")
_ALIGN = 64


class CIndex(ctypes.Structure):
    """``pv_index`` of pvix.h."""

    _fields_ = [
        *[(n, ctypes.c_void_p) for n in ("vectors", "scales", "records", "blob", "info", "fingerprint")],
        ("info_bytes", ctypes.c_uint64),
        ("count", ctypes.c_int64),
        ("dim", ctypes.c_int32),
        ("dtype", ctypes.c_int32),
        ("threshold", ctypes.c_float),
    ]


@dataclass(frozen=True)
class Entry:
    """One photo of an index.

    Attributes:
        name: of the image, unique in the index.
        label: of its place.
        latitude, longitude: degrees, or None.
        thumbnail: JPEG bytes, possibly none.
    """

    name: str
    label: str = ""
    latitude: float | None = None
    longitude: float | None = None
    thumbnail: bytes = b""


@dataclass(frozen=True, eq=False)
class PlaceIndex:
    """An index in memory or mapped.

    Attributes:
        vectors: [n, dim] float32, float16 or int8, unit rows.
        scales: float32 [n] for int8, else None.
        entries: n photos.
        fingerprint: 32 bytes, of the program whose descriptors these are.
        threshold: cosine under which a place is unknown, or None.
        info: what the index was made from.
    """

    vectors: np.ndarray
    scales: np.ndarray | None
    entries: tuple[Entry, ...]
    fingerprint: bytes
    threshold: float | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dim(self) -> int:
        return self.vectors.shape[1]

    def __len__(self) -> int:
        return len(self.entries)

    def descriptors(self) -> np.ndarray:
        """The vectors as float32 [n, dim]."""
        widened = self.vectors.astype(np.float32)
        return widened if self.scales is None else widened * self.scales[:, None]

    @cached_property
    def c_index(self) -> CIndex:
        """The C view of the vectors, for searching (names and thumbnails stay in Python)."""
        scales = None if self.scales is None else self.scales.ctypes.data
        return CIndex(
            vectors=self.vectors.ctypes.data,
            scales=scales,
            count=len(self),
            dim=self.dim,
            dtype=DTYPES.index(self.vectors.dtype.name),
        )


def encode_vectors(descriptors: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray | None]:
    """float32 [n, dim] -> stored vectors and, for int8, scales float32 [n]."""
    if dtype not in DTYPES:
        raise IndexFormatError("unknown vector type", found=repr(dtype), allowed=", ".join(DTYPES))
    if dtype != "int8":
        return np.ascontiguousarray(descriptors, dtype), None
    largest = np.abs(descriptors).max(axis=1)
    scales = (np.maximum(largest, np.finfo(np.float32).tiny) / 127).astype(np.float32)
    values = np.rint(descriptors / scales[:, None])
    return np.clip(values, -127, 127).astype(np.int8), scales


def write_index(out: Path | str, index: PlaceIndex, *, force: bool = False) -> None:
    """Write an index atomically; what is written is checked against every rule before it counts."""
    parts = _layout(index)
    data = b"".join(parts)
    _open_c(np.frombuffer(data, np.uint8), str(out))
    with atomic_path(out, force=force) as temporary:
        temporary.write_bytes(data)


def _layout(index: PlaceIndex) -> list[bytes]:
    if len({entry.name for entry in index.entries}) != len(index):
        raise IndexFormatError("an index names a photo twice")
    records, blob = _records(index.entries)
    info = json.dumps(dict(index.info), sort_keys=True).encode()
    sections = [index.vectors.tobytes(), b"" if index.scales is None else index.scales.tobytes(), records]
    offsets, parts, position = [], [], _HEADER.size
    for section in sections:
        pad = -position % _ALIGN
        parts += [b"\0" * pad, section]
        offsets.append(position + pad)
        position += pad + len(section)
    vectors, scales, records_at = offsets
    total = position + len(blob) + len(info)
    threshold = float("nan") if index.threshold is None else index.threshold
    header = _HEADER.pack(
        b"PVIX0001",
        _HEADER.size,
        DTYPES.index(index.vectors.dtype.name),
        len(index),
        index.dim,
        threshold,
        index.fingerprint,
        vectors,
        0 if index.scales is None else scales,
        records_at,
        position,
        len(blob),
        position + len(blob),
        len(info),
        total,
    )
    return [header, *parts, blob, info]


def _records(entries: Sequence[Entry]) -> tuple[bytes, bytes]:
    records, blob = [], bytearray()
    for entry in entries:
        name, label = entry.name.encode(), entry.label.encode()
        at = len(blob)
        blob += name + label + entry.thumbnail
        nan = float("nan")
        latitude = nan if entry.latitude is None else entry.latitude
        longitude = nan if entry.longitude is None else entry.longitude
        starts = (at, at + len(name), at + len(name) + len(label))
        sizes = (len(name), len(label), len(entry.thumbnail), 0)
        records.append(_RECORD.pack(*starts, latitude, longitude, *sizes))
    return b"".join(records), bytes(blob)


def _open_c(data: np.ndarray, name: str) -> CIndex:
    library, index = native.core(), CIndex()
    library.pv_index_rule.restype = ctypes.c_char_p
    rule = library.pv_index_open(
        ctypes.c_void_p(data.ctypes.data), ctypes.c_size_t(data.size), ctypes.byref(index)
    )
    if rule:
        text = library.pv_index_rule(rule).decode()
        raise IndexFormatError(f"{name} is not a place index", found=f"broken rule {text}", do="build it again")
    return index


def open_index(path: Path | str) -> PlaceIndex:
    """Map an index: vectors stay in the file, names and thumbnails are read.

    Raises:
        IndexFormatError: missing, or a rule of FORMAT.md is broken (which one is said).
    """
    path = Path(path)
    if not path.is_file():
        raise IndexFormatError(f"{path} does not exist")
    if not path.stat().st_size:
        raise IndexFormatError(f"{path} is not a place index", found="an empty file")
    data = np.memmap(path, np.uint8, "r")
    opened = _open_c(data, str(path))
    header = _HEADER.unpack(bytes(data[: _HEADER.size]))
    fingerprint, (vectors, scales, records, blob, _, info, info_bytes, _) = header[6], header[7:]
    dtype = np.dtype(DTYPES[opened.dtype])
    shape = (opened.count, opened.dim)
    stored = data[vectors : vectors + opened.count * opened.dim * dtype.itemsize].view(dtype).reshape(shape)
    factors = data[scales : scales + 4 * opened.count].view(np.float32) if scales else None
    try:
        entries = tuple(_entry(data, records + row * _RECORD.size, blob) for row in range(opened.count))
        made_from = json.loads(bytes(data[info : info + info_bytes]))
    except ValueError as error:  # JSON and UTF-8 errors alike
        raise IndexFormatError(f"{path} holds damaged text", found=str(error)) from error
    threshold = None if np.isnan(opened.threshold) else float(opened.threshold)
    return PlaceIndex(stored, factors, entries, fingerprint, threshold, made_from)


def _entry(data: np.ndarray, at: int, blob: int) -> Entry:
    record = _RECORD.unpack(bytes(data[at : at + _RECORD.size]))
    starts, (latitude, longitude), sizes = record[:3], record[3:5], record[5:8]
    name, label, thumbnail = (
        bytes(data[blob + start : blob + start + size]) for start, size in zip(starts, sizes, strict=True)
    )
    known = not np.isnan(latitude)
    return Entry(
        name.decode(),
        label.decode(),
        float(latitude) if known else None,
        float(longitude) if known else None,
        thumbnail,
    )

"""Reads and writes ``.pvix`` files: FORMAT.md says what is in them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad.artifact import atomic_path
from pocketvlad.errors import IndexFormatError
from pocketvlad.evaluate.files import release
from pocketvlad.index import rules
from pocketvlad.index.rules import DTYPES, HEADER, RECORD
from pocketvlad.index.types import FINGERPRINT_BYTES, Entry, MappedEntries, PlaceIndex
from pocketvlad.schema import parse_json

_PIECE = 1 << 24  # bytes of a section written at once


def write_index(out: Path | str, index: PlaceIndex, *, force: bool = False) -> None:
    """Write an index atomically; what is written is checked against every rule before it counts.

    Raises:
        IndexFormatError: a rule of FORMAT.md would be broken, or a name stands twice.
        ArtifactError: the file exists and ``force`` is false, or the disk refuses it.
    """
    with atomic_path(out, force=force) as temporary:
        with temporary.open("wb") as file:
            file.writelines(_layout(index))
        _check(np.memmap(temporary, np.uint8, "r"), Path(out))


def _layout(index: PlaceIndex) -> Iterator[bytes | memoryview]:
    """The file in pieces; the entries are gone through three times and never held together."""
    records, blob_bytes = _records(index.entries)
    info = json.dumps(dict(index.info), sort_keys=True).encode()
    stored = {
        "vectors": index.vectors,
        "scales": index.scales,
        "residuals": index.residuals,
        "records": records,
    }
    sections = {name: np.ascontiguousarray(part) for name, part in stored.items() if part is not None}
    offsets, position = {}, HEADER.itemsize
    for name, section in sections.items():
        offsets[name] = position + -position % rules.ALIGNMENT
        position = offsets[name] + section.nbytes
    yield _header(index, offsets, position, blob_bytes, len(info))
    written = HEADER.itemsize
    for name, section in sections.items():
        yield bytes(offsets[name] - written)
        flat = section.reshape(-1).view(np.uint8)
        for begin in range(0, flat.size, _PIECE):
            yield flat[begin : begin + _PIECE].data
            release(section)
        written = offsets[name] + section.nbytes
    yield from (text for entry in index.entries for text in _texts(entry))
    yield from (entry.thumbnail for entry in index.entries)
    yield info


def _header(index: PlaceIndex, offsets: dict[str, int], blob: int, blob_bytes: int, info_bytes: int) -> bytes:
    header = np.zeros(1, HEADER)
    values = {
        "magic": rules.MAGIC,
        "header_bytes": HEADER.itemsize,
        "dtype": DTYPES.index(index.vectors.dtype.name),
        "count": len(index),
        "dim": index.dim,
        "threshold": math.nan if index.threshold is None else index.threshold,
        "fingerprint": np.void(index.fingerprint),
        **offsets,
        "blob": blob,
        "blob_bytes": blob_bytes,
        "info": blob + blob_bytes,
        "info_bytes": info_bytes,
        "file_bytes": blob + blob_bytes + info_bytes,
    }
    for name, value in values.items():
        header[name] = value
    return header.tobytes()


def _records(entries: Sequence[Entry]) -> tuple[np.ndarray, int]:
    """RECORD [n], and the bytes of the blob: all texts, then all thumbnails."""
    records, position = np.zeros(len(entries), RECORD), 0
    hashes = np.zeros(len(entries), np.int64)
    for row, entry in enumerate(entries):
        record, hashes[row] = records[row], hash(entry.name)
        for part, text in zip(("name", "label"), _texts(entry), strict=True):
            record[part], record[f"{part}_bytes"] = position, len(text)
            position += len(text)
        record["latitude"] = math.nan if entry.latitude is None else entry.latitude
        record["longitude"] = math.nan if entry.longitude is None else entry.longitude
        record["thumbnail_bytes"] = len(entry.thumbnail)
    _require_different(entries, hashes)
    sizes = records["thumbnail_bytes"].astype(np.uint64)
    records["thumbnail"] = position + np.cumsum(sizes) - sizes
    return records, position + int(sizes.sum())


def _texts(entry: Entry) -> tuple[bytes, bytes]:
    """Name and label; lone surrogates break rule 21, which is said then."""
    return entry.name.encode("utf-8", "surrogatepass"), entry.label.encode("utf-8", "surrogatepass")


def _require_different(entries: Sequence[Entry], hashes: np.ndarray) -> None:
    """Names with a hash of their own are different ones; the others are compared."""
    order = np.argsort(hashes, kind="stable")
    same = hashes[order[1:]] == hashes[order[:-1]]
    seen: set[str] = set()
    for row in np.union1d(order[1:][same], order[:-1][same]).tolist():
        name = entries[row].name
        if name in seen:
            raise IndexFormatError("an index names a photo twice", found=repr(name))
        seen.add(name)


def _check(data: np.ndarray, path: Path) -> None:
    rule = rules.broken_rule(data)
    if rule:
        raise IndexFormatError(
            f"{path} is not a sound place index",
            found=f"rule {rule} broken",
            allowed=rules.RULES[rule],
            do="build it again",
        )


def open_index(path: Path | str) -> PlaceIndex:
    """Map an index: vectors and thumbnails stay in the file until they are used.

    Raises:
        IndexFormatError: missing, or a rule of FORMAT.md is broken (which one is said).
    """
    path = Path(path)
    if not path.is_file():
        raise IndexFormatError(f"{path} does not exist")
    empty = path.stat().st_size == 0  # cannot be mapped
    data = np.zeros(0, np.uint8) if empty else np.memmap(path, np.uint8, "r")
    _check(data, path)
    header = rules.read_header(data)
    dtype, shape = np.dtype(DTYPES[header["dtype"]]), (header["count"], header["dim"])
    vectors = rules.section(data, header["vectors"], rules.vector_bytes(header)).view(dtype).reshape(shape)
    scales = residuals = None
    if dtype == np.int8:
        packed = (shape[0], rules.residual_bytes(shape[1]))
        scales = rules.section(data, header["scales"], 4 * shape[0]).view(np.float32)
        residuals = rules.section(data, header["residuals"], packed[0] * packed[1]).reshape(packed)
    entries = MappedEntries(
        rules.read_records(data, header), rules.section(data, header["blob"], header["blob_bytes"])
    )
    threshold = rules.read_threshold(data)
    return PlaceIndex(
        vectors,
        scales,
        residuals,
        entries,
        data[32 : 32 + FINGERPRINT_BYTES].tobytes(),
        None if math.isnan(threshold) else threshold,
        _read_info(rules.section(data, header["info"], header["info_bytes"]).tobytes(), path),
    )


def _read_info(text: bytes, path: Path) -> dict[str, Any]:
    try:
        return parse_json(text)
    except ValueError as error:
        raise IndexFormatError(
            f"{path} holds damaged information", found=str(error), do="build it again"
        ) from error

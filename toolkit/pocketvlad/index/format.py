"""Reads and writes ``.pvix`` files: FORMAT.md says what is in them."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pocketvlad.artifact import atomic_path, write_error
from pocketvlad.errors import IndexFormatError
from pocketvlad.evaluate.files import release, room
from pocketvlad.index import rules
from pocketvlad.index.chained import Array, pieces_of
from pocketvlad.index.entries import Entry, MappedEntries
from pocketvlad.index.names import repeated
from pocketvlad.index.rules import DTYPES, HEADER, RECORD
from pocketvlad.index.types import FINGERPRINT_BYTES, PlaceIndex, chained
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
    stored: dict[str, Array | None] = {
        "vectors": index.vectors,
        "scales": index.scales,
        "residuals": index.residuals,
        "records": records,
    }
    sections = {name: pieces_of(array) for name, array in stored.items() if array is not None}
    offsets, position = {}, HEADER.itemsize
    for name, pieces in sections.items():
        offsets[name] = position + -position % rules.ALIGNMENT
        position = offsets[name] + sum(piece.nbytes for piece in pieces)
    yield _header(index, offsets, position, blob_bytes, len(info))
    written = HEADER.itemsize
    for name, pieces in sections.items():
        yield bytes(offsets[name] - written)
        for piece in map(np.ascontiguousarray, pieces):
            flat = piece.reshape(-1).view(np.uint8)
            for begin in range(0, flat.size, _PIECE):
                yield flat[begin : begin + _PIECE].data
                release(piece)
        written = offsets[name] + sum(piece.nbytes for piece in pieces)
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
    records, position = room((len(entries),), RECORD), 0
    hashes = np.zeros(len(entries), np.int64)
    for row, entry in enumerate(entries):
        record, hashes[row] = records[row], hash(entry.name)
        for part, text in zip(("name", "label"), _texts(entry), strict=True):
            record[part], record[f"{part}_bytes"] = position, len(text)
            position += len(text)
        record["latitude"] = math.nan if entry.latitude is None else entry.latitude
        record["longitude"] = math.nan if entry.longitude is None else entry.longitude
        record["thumbnail_bytes"] = len(entry.thumbnail)
    for name in repeated(hashes, lambda row: entries[row].name):
        raise IndexFormatError("an index names a photo twice", found=repr(name))
    sizes = records["thumbnail_bytes"].astype(np.uint64)
    records["thumbnail"] = position + np.cumsum(sizes) - sizes
    return records, position + int(sizes.sum())


def _texts(entry: Entry) -> tuple[bytes, bytes]:
    """Name and label; lone surrogates break rule 21, which is said then."""
    return entry.name.encode("utf-8", "surrogatepass"), entry.label.encode("utf-8", "surrogatepass")


def _check(data: np.ndarray, path: Path) -> None:
    rule = rules.broken_rule(data)
    if rule:
        raise IndexFormatError(
            f"{path} is not a sound place index",
            found=f"rule {rule} broken",
            allowed=rules.RULES[rule],
            do="build it again",
        )


def append_part(path: Path, index: PlaceIndex) -> None:
    """Write an index as one more part behind those of a file; nothing else of the file is written or read.

    The part's first eight bytes are written last: until then the file is what it was.

    Raises:
        IndexFormatError: a rule of FORMAT.md would be broken, or a name stands twice in the part.
        ArtifactError: the disk refuses it.
    """
    end = sum(part_spans(path)[-1])
    start = end + -end % rules.ALIGNMENT
    try:
        with path.open("r+b") as file:
            file.truncate(end)
            _write_part(file, start, index, path)
    except BaseException as error:
        os.truncate(path, end)
        if isinstance(error, OSError):
            raise write_error(path, error) from error
        raise


def _write_part(file: BinaryIO, start: int, index: PlaceIndex, path: Path) -> None:
    pieces = _layout(index)
    header = next(pieces)
    file.seek(start)
    file.write(bytes(len(header)))
    file.writelines(pieces)
    file.flush()
    written = np.memmap(path, np.uint8, "c", offset=start)
    written[: len(header)] = np.frombuffer(header, np.uint8)
    _check(written, path)
    magic = len(rules.MAGIC)
    for part, at in ((header[magic:], start + magic), (header[:magic], start)):
        os.fsync(file.fileno())
        if os.pwrite(file.fileno(), part, at) < len(part):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file.fileno())


def open_index(path: Path | str) -> PlaceIndex:
    """Map an index: vectors and thumbnails stay in the file until they are used.

    Raises:
        IndexFormatError: missing, or a rule of FORMAT.md is broken (which one is said).
    """
    path = Path(path)
    if not path.is_file():
        raise IndexFormatError(f"{path} does not exist")
    spans = part_spans(path)
    end = sum(spans[-1])
    data = np.memmap(path, np.uint8, "r", shape=(end,)) if end else np.zeros(0, np.uint8)
    parts = [_read_part(data[start : start + size], path) for start, size in spans]
    if len({(part.vectors.dtype, part.dim, part.fingerprint) for part in parts}) > 1:
        raise IndexFormatError(
            f"{path} is not a sound place index",
            found="parts of several types or programs",
            do="build it again",
        )
    return chained(parts)


def part_spans(path: Path) -> list[tuple[int, int]]:
    """Start and bytes of each part of a file; an addition that is not finished is none.

    Headers are read and not mapped: who adds may cut off behind the parts what another one has left.
    """
    with path.open("rb") as file:
        size, at = os.fstat(file.fileno()).st_size, 0
        spans: list[tuple[int, int]] = []
        while True:
            length = _part_bytes(os.pread(file.fileno(), HEADER.itemsize, at))
            end = at + length
            following = _magic_behind(file.fileno(), end) if 0 < length <= size - at else b""
            if following not in (rules.MAGIC, bytes(8)):
                return [*spans, (at, size - at)]
            spans.append((at, length))
            if following != rules.MAGIC:
                return spans
            at = end + -end % rules.ALIGNMENT


def _magic_behind(handle: int, end: int) -> bytes:
    """The first eight bytes of what follows a part; zeros as well where it is shorter than a header and all zeros."""
    gap = -end % rules.ALIGNMENT
    behind = os.pread(handle, gap + HEADER.itemsize, end)
    if len(behind) == gap + HEADER.itemsize:
        return behind[gap : gap + 8]
    return b"" if any(behind) else bytes(8)


def is_one_part(path: Path) -> bool:
    """Whether a file is one part and nothing else, as phones read it."""
    return part_spans(path) == [(0, path.stat().st_size)]


def _part_bytes(header: bytes) -> int:
    """What a header says; 0 where it is none."""
    if len(header) < HEADER.itemsize or header[:8] != rules.MAGIC:
        return 0
    said = int(np.frombuffer(header, HEADER)["file_bytes"][0])
    return said if HEADER.itemsize <= said < 1 << 62 else 0


def _read_part(data: np.ndarray, path: Path) -> PlaceIndex:
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
    release(data)
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

"""The rules of FORMAT.md, checked in NumPy; ``kernels/search/pvix.c`` checks the same ones for the app."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import numpy as np

from pocketvlad.errors import IndexFormatError

HEADER = np.dtype(
    [
        ("magic", "S8"),
        ("header_bytes", "<u4"),
        ("dtype", "<u4"),
        ("count", "<u8"),
        ("dim", "<u4"),
        ("threshold", "<f4"),
        ("fingerprint", "V32"),
        *[(name, "<u8") for name in ("vectors", "scales", "residuals", "records")],
        *[(name, "<u8") for name in ("blob", "blob_bytes", "info", "info_bytes", "file_bytes")],
    ]
)
RECORD = np.dtype(
    [
        *[(name, "<u8") for name in ("name", "label", "thumbnail")],
        *[(name, "<f8") for name in ("latitude", "longitude")],
        *[(name, "<u4") for name in ("name_bytes", "label_bytes", "thumbnail_bytes", "reserved")],
    ]
)
MAGIC = b"PVIX0002"
DTYPES = ("float32", "float16", "int8")
ALIGNMENT = 64
MAX_COUNT, MAX_DIM, MAX_TEXT = 2**31 - 1, 131072, 4096
MAX_THUMBNAIL = 1 << 24  # bytes: the app takes one whole into a Java array
_CONTROLS = bytes([*range(32), 127])
_IS_CONTROL = np.isin(np.arange(256), [*_CONTROLS])
_PIECE = 1 << 24  # bytes of text looked at together

RULES = {
    1: "the file is at least 136 bytes and starts with PVIX0002",
    2: "the header says 136 header bytes and the file's own length",
    3: "the vector type is 0, 1 or 2",
    4: "there is at least one photo and fewer than 2^31",
    5: "the dimension is 1 to 131,072",
    6: "the vectors lie inside the file at a multiple of 64",
    7: "the scales lie inside the file at a multiple of 64 for int8, and their offset is 0 otherwise",
    8: "the residuals lie inside the file at a multiple of 64 for int8, and their offset is 0 otherwise",
    9: "the records lie inside the file at a multiple of 64",
    10: "the blob lies inside the file",
    11: "the information lies inside the file",
    12: "header, vectors, scales, residuals, records, blob and information stand in this order and do not overlap",
    13: "the threshold is within 1 and -1, or NaN",
    14: "the information is UTF-8 and stands in braces",
    15: "every scale is finite and not negative",
    16: "every name is 1 to 4,096 bytes inside the blob",
    17: "every label is at most 4,096 bytes inside the blob",
    18: "every thumbnail is at most 16,777,216 bytes inside the blob",
    19: "latitude is within 90 degrees and longitude within 180, or both are NaN",
    20: "the reserved field of every record is 0",
    21: "every name and label is UTF-8 without control characters",
}


def require_countable(photos: int) -> None:
    """Raises IndexFormatError for more photos than an index holds, in all its parts: their rows are int32."""
    if photos > MAX_COUNT:
        raise IndexFormatError(
            "too many photos for an index", found=photos, allowed=f"{MAX_COUNT:,} or fewer, in all parts"
        )


def broken_rule(data: np.ndarray) -> int:
    """The first rule the bytes break, 0 if none. ``data``: uint8 [file size], possibly mapped."""
    return next((rule for rule, holds in _verdicts(data) if not holds), 0)


def read_header(data: np.ndarray) -> dict[str, int]:
    """The header's whole numbers by name; the file is at least as long as the header."""
    fields = np.frombuffer(data[: HEADER.itemsize].tobytes(), HEADER)[0]
    return {name: int(fields[name]) for name in HEADER.names or () if HEADER[name].kind == "u"}


def read_threshold(data: np.ndarray) -> float:
    """Cosine under which a place is unknown, NaN for none."""
    return float(np.frombuffer(data[: HEADER.itemsize].tobytes(), HEADER)["threshold"][0])


def read_records(data: np.ndarray, header: dict[str, int]) -> np.ndarray:
    """The records in place, RECORD [count]."""
    return section(data, header["records"], header["count"] * RECORD.itemsize).view(RECORD)


def section(data: np.ndarray, offset: int, size: int) -> np.ndarray:
    return data[offset : offset + size]


def vector_bytes(header: dict[str, int]) -> int:
    return header["count"] * header["dim"] * np.dtype(DTYPES[header["dtype"]]).itemsize


def residual_bytes(dim: int) -> int:
    """Of a row's residuals, 2 bits a value."""
    return -(-dim // 4)


def _verdicts(data: np.ndarray) -> Iterator[tuple[int, bool]]:
    """Each rule and whether it holds, in order: a later rule may rely on the earlier ones."""
    yield 1, data.size >= HEADER.itemsize and data[:8].tobytes() == MAGIC
    header = read_header(data)
    yield 2, header["header_bytes"] == HEADER.itemsize and header["file_bytes"] == data.size
    yield 3, header["dtype"] < len(DTYPES)
    yield 4, 1 <= header["count"] <= MAX_COUNT
    yield 5, 1 <= header["dim"] <= MAX_DIM
    yield from _section_verdicts(header, data.size)
    threshold = read_threshold(data)
    yield 13, bool(np.isnan(threshold) or abs(threshold) <= 1)
    info = section(data, header["info"], header["info_bytes"]).tobytes()
    yield 14, len(info) >= 2 and info[:1] == b"{" and info[-1:] == b"}" and _is_utf8(info)
    if header["scales"]:
        scales = section(data, header["scales"], 4 * header["count"]).view("<f4")
        yield 15, bool(np.all(np.isfinite(scales) & (scales >= 0)))
    yield from _record_verdicts(data, header)


def _section_verdicts(header: dict[str, int], size: int) -> Iterator[tuple[int, bool]]:
    def inside(name: str, length: int, multiple: int = 1) -> bool:
        return header[name] % multiple == 0 and header[name] + length <= size

    count, quantized = header["count"], DTYPES[header["dtype"]] == "int8"
    stored = {"scales": 4 * count, "residuals": count * residual_bytes(header["dim"])}  # of int8 only
    yield 6, inside("vectors", vector_bytes(header), ALIGNMENT)
    for rule, (name, length) in enumerate(stored.items(), 7):
        yield rule, inside(name, length, ALIGNMENT) if quantized else header[name] == 0
    yield 9, inside("records", count * RECORD.itemsize, ALIGNMENT)
    yield 10, inside("blob", header["blob_bytes"])
    yield 11, inside("info", header["info_bytes"])
    spans = [
        ("vectors", vector_bytes(header)),
        *(stored.items() if quantized else ()),
        ("records", count * RECORD.itemsize),
        ("blob", header["blob_bytes"]),
    ]
    ends = [HEADER.itemsize, *(header[name] + length for name, length in spans)]
    starts = [*(header[name] for name, _ in spans), header["info"]]
    yield 12, all(end <= start for end, start in zip(ends, starts, strict=True))


def _record_verdicts(data: np.ndarray, header: dict[str, int]) -> Iterator[tuple[int, bool]]:
    records, blob_bytes = read_records(data, header), np.uint64(header["blob_bytes"])

    def inside(name: str) -> np.ndarray:
        start, length = records[name], records[f"{name}_bytes"]
        return (start <= blob_bytes) & (length <= blob_bytes - np.minimum(start, blob_bytes))

    latitude, longitude = records["latitude"], records["longitude"]
    placed = (np.abs(latitude) <= 90) & (np.abs(longitude) <= 180)
    name_bytes, label_bytes = records["name_bytes"], records["label_bytes"]
    holds = {
        16: inside("name") & (name_bytes >= 1) & (name_bytes <= MAX_TEXT),
        17: inside("label") & (label_bytes <= MAX_TEXT),
        18: inside("thumbnail") & (records["thumbnail_bytes"] <= MAX_THUMBNAIL),
        19: placed | (np.isnan(latitude) & np.isnan(longitude)),
        20: records["reserved"] == 0,
    }
    sound = np.logical_and.reduce(list(holds.values()))
    first_unsound = len(records) if sound.all() else int(np.argmin(sound))
    blob = section(data, header["blob"], header["blob_bytes"])
    before = records[:first_unsound]
    yield 21, _are_clean(blob, before) or all(_is_clean(blob, record) for record in before)
    if first_unsound < len(records):
        yield from ((rule, bool(held[first_unsound])) for rule, held in holds.items())


def _are_clean(blob: np.ndarray, records: np.ndarray) -> bool:
    """Whether the bytes that hold all texts are clean and every text is whole letters of them.

    False says nothing: something else may lie between the texts.
    """
    if not len(records):
        return True
    starts = np.concatenate([records["name"], records["label"]]).astype(np.int64)
    ends = starts + np.concatenate([records["name_bytes"], records["label_bytes"]])
    begin, end = int(starts.min()), int(ends.max())
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(begin, end, _PIECE):
            piece = blob[at : min(at + _PIECE, end)]
            if (_IS_CONTROL[piece]).any():
                return False
            decoder.decode(piece.tobytes(), final=at + _PIECE >= end)
    except UnicodeDecodeError:
        return False
    edges = np.concatenate([starts, ends])
    edges = edges[edges < end]
    return not ((blob[edges] & 0xC0) == 0x80).any()


def _is_clean(blob: np.ndarray, record: np.void) -> bool:
    """Whether a record's texts, which lie inside the blob, are UTF-8 without control characters."""
    for name in ("name", "label"):
        text = section(blob, int(record[name]), int(record[f"{name}_bytes"])).tobytes()
        if not _is_utf8(text) or len(text.translate(None, _CONTROLS)) != len(text):
            return False
    return True


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True

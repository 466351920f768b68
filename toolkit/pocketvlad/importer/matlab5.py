"""``.mat`` files of version 5 by our own code: SciPy crashes on damaged ones, and a few bytes may ask it for gigabytes.

Format: MathWorks, *MAT-File Format* (R2024b), "Level 5 MAT-File Format". What is read takes memory in proportion to the
file, and every count is checked against the bytes that are there.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

V5, V73 = b"MATLAB 5.0", b"MATLAB 7.3"  # how files begin
OPAQUE = "a MATLAB class object"  # objects, function handles and sparse matrices, which no model here needs
_HEADER = 128  # bytes
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {16: "utf-8", 17: "utf-16", 18: "utf-32"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _OPAQUE_CLASS = 1, 2, 4, 17
_NUMBERS = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_COMPLEX = 0x800
_DEPTH = 32  # of cells and structs in each other
_MOST_ITEMS = 4_000_000  # matrices and texts in a file: Pitts250k has 280,000
_UNPACKED, _RATIO = (
    64_000_000,
    100,
)  # bytes that any file may unpack to, and more for a larger file, times its size


def is_mat(head: bytes) -> bool:
    """Whether a file's first bytes are those of a ``.mat`` file of either format."""
    return head.startswith((V5, V73))


class DamagedError(ValueError):
    """The bytes break the format."""


@dataclass
class _Left:
    """What a file may still ask for."""

    items: int
    unpacked: int

    def take(self, items: int) -> None:
        self.items -= items
        if self.items < 0:
            raise DamagedError(f"more than {_MOST_ITEMS:,} items")


class _Reader:
    """Elements one after the other, of a file or of what a matrix holds."""

    def __init__(self, data: memoryview, order: str, left: _Left, depth: int = 0):
        self.data, self.order, self.left, self.depth, self.at = data, order, left, depth, 0
        if depth > _DEPTH:
            raise DamagedError(f"cells and structs more than {_DEPTH} deep")

    @property
    def more(self) -> bool:
        return len(self.data) - self.at >= 8

    def element(self) -> tuple[int, memoryview]:
        """Type and bytes of the next element."""
        if not self.more:
            raise DamagedError("an element is missing")
        first, second = np.frombuffer(self.data[self.at : self.at + 8], f"{self.order}u4").tolist()
        kind, size, start = first, second, self.at + 8
        if first >> 16:  # short: bytes and type share a word, the data lie in the other
            kind, size, start = first & 0xFFFF, first >> 16, self.at + 4
        if size > len(self.data) - start or (start == self.at + 4 and size > 4):
            raise DamagedError(f"an element of {size:,} bytes where {len(self.data) - start:,} are left")
        padded = 4 if start == self.at + 4 else size if kind == _COMPRESSED else -(-size // 8) * 8
        self.at = min(start + padded, len(self.data))
        return kind, self.data[start : start + size]

    def numbers(self) -> np.ndarray:
        """The next element as a row of numbers, of the type it is stored in."""
        kind, data = self.element()
        if kind not in _TYPES:
            raise DamagedError(f"numbers of type {kind}")
        dtype = np.dtype(f"{self.order}{_TYPES[kind]}")
        if len(data) % dtype.itemsize:
            raise DamagedError(f"{len(data)} bytes of numbers of {dtype.itemsize}")
        return np.frombuffer(data, dtype)

    def text(self) -> str:
        """A name, to its first zero."""
        return bytes(self.element()[1]).split(b"\0")[0].decode("utf-8", "replace")

    def matrix(self, data: memoryview) -> tuple[str, Any]:
        """Name and value of a matrix element's bytes."""
        self.left.take(1)
        if not data:  # an empty cell's element
            return "", np.zeros((0, 0))
        inside = _Reader(data, self.order, self.left, self.depth + 1)
        flags = inside.numbers()
        if not flags.size:
            raise DamagedError("a matrix without a class")
        kind, is_complex = int(flags[0]) & 0xFF, bool(int(flags[0]) & _COMPLEX)
        if kind == _OPAQUE_CLASS:
            return inside.text(), OPAQUE
        shape = tuple(inside.numbers().tolist())
        if len(shape) < 2 or len(shape) > 32 or min(shape) < 0:
            raise DamagedError(f"a matrix of shape {shape}")
        name = inside.text()
        return name, inside.value(kind, shape, is_complex)

    def value(self, kind: int, shape: tuple[int, ...], is_complex: bool) -> Any:
        if kind in _NUMBERS:
            real = self.array(shape, _NUMBERS[kind])
            return real + 1j * self.array(shape, _NUMBERS[kind]) if is_complex else real
        if kind == _CHAR:
            return self.chars(shape)
        if kind == _CELL:
            return [self.item() for _ in range(self.counted(math.prod(shape)))]
        return self.structs(math.prod(shape)) if kind == _STRUCT else OPAQUE

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        stored = self.numbers()
        if stored.size != math.prod(shape):
            raise DamagedError(f"{stored.size:,} numbers for a matrix of shape {shape}")
        return stored.astype(dtype).reshape(shape, order="F")

    def chars(self, shape: tuple[int, ...]) -> str | list[str]:
        kind, data = self.element()
        if kind in _TEXTS:
            letters = list(bytes(data).decode(_TEXTS[kind] + ("" if kind == 16 else self.ending), "replace"))
        else:
            dtype = np.dtype(f"{self.order}{_TYPES.get(kind, 'u2')}")
            codes = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)
            letters = [chr(code) if 0 <= code < 0x110000 else "\ufffd" for code in codes.tolist()]
        if len(letters) != math.prod(shape):
            raise DamagedError(f"{len(letters):,} letters for a text of shape {shape}")
        rows = np.array(letters, "U1").reshape(shape, order="F").reshape(-1, shape[-1])
        self.left.take(len(rows))
        lines = ["".join(row) for row in rows]
        return lines[0] if len(lines) == 1 else lines or ""

    @property
    def ending(self) -> str:
        return "-le" if self.order == "<" else "-be"

    def counted(self, count: int) -> int:
        """``count`` elements to come; each takes 8 bytes at least."""
        if count > (len(self.data) - self.at) // 8:
            raise DamagedError(f"{count:,} elements in {len(self.data) - self.at:,} bytes")
        return count

    def item(self) -> Any:
        kind, data = self.element()
        if kind != _MATRIX:
            raise DamagedError(f"an element of type {kind} in a cell or struct")
        return self.matrix(data)[1]

    def structs(self, count: int) -> Any:
        width = self.numbers()
        names = bytes(self.element()[1])
        size = int(width[0]) if width.size else 0
        if size < 1 or len(names) % size:
            raise DamagedError(f"names of {size} letters in {len(names)} bytes")
        fields = [
            names[i : i + size].split(b"\0")[0].decode("utf-8", "replace") for i in range(0, len(names), size)
        ]
        self.counted(count * len(fields))
        self.left.take(count if fields else 0)
        found = [{field: self.item() for field in fields} for _ in range(count if fields else min(count, 1))]
        return found[0] if len(found) == 1 else found


def read_v5(path: Path) -> dict[str, Any]:
    """Every variable of a file of version 5; see :func:`pocketvlad.importer.matlab.read_mat`.

    Raises:
        DamagedError: the file breaks the format, or unpacks to far more than it holds.
    """
    data = memoryview(np.memmap(path, np.uint8, "r")).cast("B")  # type: ignore[arg-type]
    if len(data) < _HEADER or bytes(data[126:128]) not in (b"IM", b"MI"):
        raise DamagedError("no header of version 5")
    order = "<" if bytes(data[126:128]) == b"IM" else ">"
    left = _Left(_MOST_ITEMS, max(_UNPACKED, _RATIO * len(data)))
    reader, found = _Reader(data[_HEADER:], order, left), {}
    while reader.more:
        kind, element = reader.element()
        if kind == _COMPRESSED:
            inner = _Reader(memoryview(_unpacked(element, left)), order, left)
            kind, element = inner.element()
        if kind == _MATRIX:
            name, value = reader.matrix(element)
            if name and not name.startswith("__"):
                found[name] = value
    return found


def _unpacked(data: memoryview, left: _Left) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(data, left.unpacked)
    except zlib.error as error:
        raise DamagedError(str(error)) from error
    left.unpacked -= len(found)
    if left.unpacked <= 0:
        raise DamagedError("it unpacks to far more than it holds")
    if not unpacker.eof:
        raise DamagedError("compressed data are cut short")
    return found

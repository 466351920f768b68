"""Sparse rows: a bitmap says which weights stay, and only those have a code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pocketvlad.errors import KernelError
from pocketvlad.lut import packing
from pocketvlad.lut.layouts.base import Layout, PackedLut, is_flat, packed_rows


@dataclass(frozen=True)
class Bitmap(Layout):
    """uint8 [total]: the packed rows one after the other, and the byte offsets of a matrix's rows.

    A row of ``n`` weights is a bitmap of ``16 * ceil(n / 128)`` bytes (bit ``i % 8`` of byte ``i // 8`` is 1 where
    weight ``i`` stays) followed by the codes of the survivors, packed as a dense row.
    """

    name: ClassVar[str] = "sparse"
    numbers: ClassVar[tuple[int, ...]] = (2, 3)
    masked: ClassVar[bool] = True

    def pack(
        self, shape: tuple[int, ...], bits: int, codes: np.ndarray, mask: np.ndarray | None
    ) -> PackedLut:
        assert mask is not None  # check() has seen to it
        rows = packed_rows(shape)
        packed, offsets = pack_sparse(mask.reshape(rows), codes.reshape(rows), bits)
        return PackedLut(packed, None if is_flat(shape) else offsets)

    def unpack(
        self, shape: tuple[int, ...], bits: int, packed: PackedLut
    ) -> tuple[np.ndarray, np.ndarray | None]:
        offsets = packed.row_offsets
        if offsets is None:
            offsets = np.asarray([0, packed.packed.size], np.int64)
        rows, length = packed_rows(shape)
        if len(offsets) != rows + 1:
            raise KernelError("a sparse layer has wrong row offsets", found=len(offsets), allowed=rows + 1)
        mask, codes = unpack_sparse(packed.packed, offsets, bits, length)
        return codes.reshape(shape[0], -1), mask.reshape(shape[0], -1)

    def packed_bytes(self, shape: tuple[int, ...], bits: int, kept: np.ndarray | None = None) -> int:
        rows, length = packed_rows(shape)
        counts = np.full(rows, length) if kept is None else kept
        codes = sum(packing.row_bytes(int(count), bits) for count in counts)
        return codes + self.mask_bytes(shape) + (0 if is_flat(shape) else 4 * (rows + 1))

    def mask_bytes(self, shape: tuple[int, ...]) -> int:
        rows, length = packed_rows(shape)
        return rows * bitmap_bytes(length)


def bitmap_bytes(count: int) -> int:
    """Bytes of the bitmap of one row of ``count`` weights."""
    return -(-count // packing.BLOCK) * 16


def pack_sparse(mask: np.ndarray, codes: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Pack the survivors of each row.

    Args:
        mask: bool [R, n], true where the weight survives.
        codes: uint8 [R, n]; codes of pruned weights are ignored.

    Returns:
        uint8 [total] rows one after the other, and int32 [R + 1] byte offsets of the rows.
    """
    rows, count = mask.shape
    padded = np.zeros((rows, bitmap_bytes(count) * 8), bool)
    padded[:, :count] = mask
    bitmaps = np.packbits(padded, axis=1, bitorder="little")
    parts, offsets = [], [0]
    for bitmap, row_mask, row_codes in zip(bitmaps, mask, codes, strict=True):
        survivors = packing.pack_codes(row_codes[row_mask][None], bits)[0]
        parts += [bitmap, survivors]
        offsets.append(offsets[-1] + bitmap.size + survivors.size)
    if offsets[-1] >= 2**31:
        raise KernelError(
            "a sparse layer is too large", found=f"{offsets[-1]} bytes", allowed="below 2^31 bytes"
        )
    return np.concatenate(parts), np.asarray(offsets, np.int32)


def unpack_sparse(
    packed: np.ndarray, offsets: np.ndarray, bits: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of :func:`pack_sparse`: (mask bool [R, count], codes uint8 [R, count], 0 where pruned)."""
    rows = len(offsets) - 1
    mask = np.zeros((rows, count), bool)
    codes = np.zeros((rows, count), np.uint8)
    head = bitmap_bytes(count)
    for row in range(rows):
        data = packed[offsets[row] : offsets[row + 1]]
        mask[row] = np.unpackbits(data[:head], bitorder="little")[:count].astype(bool)
        codes[row, mask[row]] = packing.unpack_codes(data[None, head:], bits, int(mask[row].sum()))[0]
    return mask, codes

"""One of every M consecutive weights of a row stays (1:M structured sparsity), so no bitmap is needed.

A code is the survivor's position in its block and, above it, its level. Rows are packed in tiles of :data:`TILE`, a
dense row of codes each: first the codes of blocks 0 to 3 of row 0, of row 1, to row 15, then those of blocks 4 to 7,
and so on. Rows and blocks past the end are code 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pocketvlad.errors import KernelError
from pocketvlad.lut import packing
from pocketvlad.lut.layouts.base import AUTO, Layout, Options, PackedLut

TILE = 16
BLOCKS = (2, 4, 8, 16)
_QUAD = 4  # blocks of a row that lie side by side
_MOST_BITS = 7  # of position and level: what the kernels look up at once


@dataclass(frozen=True)
class OneOf(Layout):
    """uint8 [ceil(O / 16), tile_bytes]; matrices only.

    Attributes:
        block: M, 2, 4, 8 or 16; the last block of a row may be shorter.
    """

    name: ClassVar[str] = "one-of"
    numbers: ClassVar[tuple[int, ...]] = (4,)
    masked: ClassVar[bool] = True

    block: int

    @property
    def group(self) -> int:
        return self.block

    @property
    def parameter(self) -> int:
        return self.block

    @property
    def label(self) -> str:
        return f"1:{self.block}"

    @classmethod
    def asked(cls, options: Options) -> Layout | None:
        return cls(options.block) if options.block or options.layout == cls.name else None

    @classmethod
    def of_parameter(cls, parameter: int) -> Layout:
        return cls(parameter)

    def problem(self, options: Options) -> tuple[str, object, object] | None:
        if self.block not in BLOCKS:
            return "block", self.block, ", ".join(map(str, BLOCKS))
        if options.threshold or options.sparsity or options.layout not in (AUTO, self.name):
            return "block with threshold, sparsity or layout", "both", "one of them"
        most = _MOST_BITS - position_bits(self.block)
        return (
            (f"bits with block = {self.block}", options.bits, f"1 to {most}") if options.bits > most else None
        )

    def check(self, shape: tuple[int, ...], bits: int, groups: int) -> None:
        super().check(shape, bits, groups)
        whole_tiles = groups == 1 or -(-shape[0] // groups) % TILE == 0
        if not whole_tiles or self.block not in BLOCKS or bits + position_bits(self.block) > _MOST_BITS:
            raise KernelError(
                "a layer cannot be packed in blocks",
                found=f"blocks of {self.block}, {bits} bits, {groups} codebooks, shape {shape}",
                allowed="blocks of 2, 4, 8 or 16, at most 7 bits for position and level, codebooks for whole "
                "multiples of 16 rows",
            )

    def check_mask(self, mask: np.ndarray | None) -> None:
        super().check_mask(mask)
        if mask is None:
            return
        starts = np.arange(0, mask.shape[1], self.block)
        if (np.add.reduceat(mask, starts, axis=1, dtype=np.uint8) != 1).any():
            raise KernelError("a block layer keeps one weight of every block", found="another number")

    def chosen(self, sizes: np.ndarray) -> np.ndarray:
        keep = np.zeros(sizes.shape, bool)
        np.put_along_axis(keep, sizes.argmax(axis=-1)[..., None], True, axis=-1)
        return keep

    def pack(
        self, shape: tuple[int, ...], bits: int, codes: np.ndarray, mask: np.ndarray | None
    ) -> PackedLut:
        assert mask is not None  # check() has seen to it
        return PackedLut(pack_tiles(mask, codes, bits, self.block))

    def unpack(
        self, shape: tuple[int, ...], bits: int, packed: PackedLut
    ) -> tuple[np.ndarray, np.ndarray | None]:
        rows, columns = shape
        mask, codes = unpack_tiles(packed.packed, rows, columns, bits, self.block)
        return codes, mask

    def packed_bytes(self, shape: tuple[int, ...], bits: int, kept: np.ndarray | None = None) -> int:
        del kept
        rows, columns = shape
        return -(-rows // TILE) * tile_bytes(columns, bits, self.block)


def position_bits(block: int) -> int:
    """Bits that say where in a block the survivor is."""
    return block.bit_length() - 1


def tile_bytes(columns: int, bits: int, block: int) -> int:
    """Bytes of one tile of a block layer whose levels take ``bits`` bits."""
    blocks = -(-columns // block)
    return packing.row_bytes(-(-blocks // _QUAD) * _QUAD * TILE, bits + position_bits(block))


def pack_tiles(mask: np.ndarray, codes: np.ndarray, bits: int, block: int) -> np.ndarray:
    """Pack a block layer.

    Args:
        mask: bool [R, n], true for exactly one weight of every ``block`` (the last block may be shorter).
        codes: uint8 [R, n], levels; those of pruned weights are ignored.

    Returns:
        uint8 [ceil(R / 16), tile_bytes(n, bits, block)].
    """
    rows, count = mask.shape
    blocks = -(-count // block)
    survivors = np.flatnonzero(mask).reshape(rows, blocks)
    positions = survivors - np.arange(rows)[:, None] * count - np.arange(blocks) * block
    joined = positions.astype(np.uint8) | codes.reshape(-1)[survivors] << np.uint8(position_bits(block))
    tiles, quads = -(-rows // TILE), -(-blocks // _QUAD)
    padded = np.zeros((tiles * TILE, quads * _QUAD), np.uint8)
    padded[:rows, :blocks] = joined
    ordered = padded.reshape(tiles, TILE, quads, _QUAD).transpose(0, 2, 1, 3).reshape(tiles, -1)
    return packing.pack_codes(ordered, bits + position_bits(block))


def unpack_tiles(
    packed: np.ndarray, rows: int, count: int, bits: int, block: int
) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of :func:`pack_tiles`: (mask bool [R, count], codes uint8 [R, count], 0 where pruned)."""
    blocks, tiles = -(-count // block), -(-rows // TILE)
    quads = -(-blocks // _QUAD)
    codes = packing.unpack_codes(packed, bits + position_bits(block), quads * _QUAD * TILE)
    ordered = codes.reshape(tiles, quads, TILE, _QUAD).transpose(0, 2, 1, 3)
    joined = ordered.reshape(tiles * TILE, -1)[:rows, :blocks]
    columns = np.arange(blocks) * block + (joined & (block - 1))
    if columns.size and int(columns.max()) >= count:
        raise KernelError("a block keeps a weight past the last column", found=int(columns.max()))
    mask, levels = np.zeros((rows, count), bool), np.zeros((rows, count), np.uint8)
    np.put_along_axis(mask, columns, True, axis=1)
    np.put_along_axis(levels, columns, joined >> np.uint8(position_bits(block)), axis=1)
    return mask, levels

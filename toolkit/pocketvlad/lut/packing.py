"""Codes and masks <-> packed bytes.

Codes are packed in blocks of :data:`BLOCK` = 128 codes, ``16 * bits`` bytes each, so that a kernel loads
whole SIMD registers and never crosses a byte. A block is the concatenation of bit planes, by the bits set
in ``bits``, lowest bits of the code first:

* ``bits == 8``: 128 bytes, byte ``j`` is code ``j``;
* ``bits & 4``: 64 bytes, byte ``j`` holds 4 bits of code ``j`` (low nibble) and of code ``64 + j``;
* ``bits & 2``: 32 bytes, byte ``j`` holds 2 bits of codes ``j``, ``32 + j``, ``64 + j``, ``96 + j``;
* ``bits & 1``: 16 bytes, bit ``k`` of byte ``j`` belongs to code ``16 * k + j``.

A row of ``n`` codes takes ``ceil(n / 128)`` blocks; the codes past ``n`` are 0. A sparse row is a bitmap of
``16 * ceil(n / 128)`` bytes (bit ``i % 8`` of byte ``i // 8`` is 1 where weight ``i`` survives) followed by
the codes of the survivors, packed as a dense row.

In a block layer one of every ``block`` consecutive weights of a row survives (1:M structured sparsity), so no
bitmap is needed: a code is the survivor's position in its block and, above it, its level. Rows are packed in
tiles of :data:`TILE`, a dense row of codes each: first the codes of blocks 0 to 3 of row 0, of row 1, to row 15,
then those of blocks 4 to 7, and so on. Rows and blocks past the end are code 0.
"""

from __future__ import annotations

import numpy as np

from pocketvlad.errors import KernelError

BLOCK = 128
TILE = 16
BLOCKS = (2, 4, 8, 16)
_QUAD = 4  # blocks of a row that lie side by side
_PLANES = (4, 2, 1)


def row_bytes(count: int, bits: int) -> int:
    """Bytes of one packed row of ``count`` codes."""
    return -(-count // BLOCK) * 16 * bits


def mask_bytes(count: int) -> int:
    """Bytes of the bitmap of one sparse row of ``count`` weights."""
    return -(-count // BLOCK) * 16


def planes(bits: int) -> list[tuple[int, int]]:
    """The ``(width, shift)`` of each plane of a code of ``bits`` bits, in storage order."""
    if not 1 <= bits <= 8:
        raise KernelError("codes cannot be packed", found=f"{bits} bits", allowed="1 to 8 bits")
    if bits == 8:
        return [(8, 0)]
    found, shift = [], 0
    for width in _PLANES:
        if bits & width:
            found.append((width, shift))
            shift += width
    return found


def pack_codes(codes: np.ndarray, bits: int) -> np.ndarray:
    """Pack codes uint8 [R, n], each below ``2**bits``, into uint8 [R, row_bytes(n, bits)]."""
    rows, count = codes.shape
    blocks = -(-count // BLOCK)
    if codes.size and int(codes.max()) >> bits:
        raise KernelError(
            "a code does not fit its bits", found=int(codes.max()), allowed=f"0 to {2**bits - 1}"
        )
    padded = np.zeros((rows, blocks * BLOCK), np.uint8)
    padded[:, :count] = codes
    grouped = padded.reshape(rows, blocks, BLOCK)
    parts = [_pack_plane(grouped, width, shift) for width, shift in planes(bits)]
    return np.concatenate(parts, axis=2).reshape(rows, blocks * 16 * bits)


def _pack_plane(blocks: np.ndarray, width: int, shift: int) -> np.ndarray:
    """uint8 [R, B, 128] -> uint8 [R, B, 16 * width]: slices of the block side by side in each byte."""
    if width == 8:
        return blocks
    field = (blocks >> shift) & ((1 << width) - 1)
    slices = field.reshape(*field.shape[:2], 8 // width, 16 * width)
    packed = np.zeros((*field.shape[:2], 16 * width), np.uint8)
    for position in range(8 // width):
        packed |= slices[:, :, position] << np.uint8(position * width)
    return packed


def unpack_codes(packed: np.ndarray, bits: int, count: int) -> np.ndarray:
    """Inverse of :func:`pack_codes`: uint8 [R, row_bytes] -> codes uint8 [R, count]."""
    rows = packed.shape[0]
    if packed.shape[1] != row_bytes(count, bits):
        raise KernelError(
            "a packed row has the wrong length", found=packed.shape[1], allowed=row_bytes(count, bits)
        )
    blocks = packed.reshape(rows, -1, 16 * bits)
    codes = np.zeros((rows, blocks.shape[1], BLOCK), np.uint8)
    offset = 0
    for width, shift in planes(bits):
        plane = blocks[:, :, offset : offset + 16 * width]
        offset += 16 * width
        for position in range(8 // width):
            field = (plane >> np.uint8(position * width)) & np.uint8((1 << width) - 1)
            codes[:, :, position * 16 * width : (position + 1) * 16 * width] |= field << np.uint8(shift)
    return codes.reshape(rows, -1)[:, :count]


def pack_sparse(mask: np.ndarray, codes: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Pack the survivors of each row.

    Args:
        mask: bool [R, n], true where the weight survives.
        codes: uint8 [R, n]; codes of pruned weights are ignored.

    Returns:
        uint8 [total] rows one after the other, and int32 [R + 1] byte offsets of the rows.
    """
    rows, count = mask.shape
    padded = np.zeros((rows, mask_bytes(count) * 8), bool)
    padded[:, :count] = mask
    bitmaps = np.packbits(padded, axis=1, bitorder="little")
    parts, offsets = [], [0]
    for bitmap, row_mask, row_codes in zip(bitmaps, mask, codes, strict=True):
        survivors = pack_codes(row_codes[row_mask][None], bits)[0]
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
    head = mask_bytes(count)
    for row in range(rows):
        data = packed[offsets[row] : offsets[row + 1]]
        mask[row] = np.unpackbits(data[:head], bitorder="little")[:count].astype(bool)
        codes[row, mask[row]] = unpack_codes(data[None, head:], bits, int(mask[row].sum()))[0]
    return mask, codes


def position_bits(block: int) -> int:
    """Bits that say where in a block the survivor is."""
    return block.bit_length() - 1


def tile_bytes(columns: int, bits: int, block: int) -> int:
    """Bytes of one tile of a block layer whose levels take ``bits`` bits."""
    blocks = -(-columns // block)
    return row_bytes(-(-blocks // _QUAD) * _QUAD * TILE, bits + position_bits(block))


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
    return pack_codes(ordered, bits + position_bits(block))


def unpack_tiles(
    packed: np.ndarray, rows: int, count: int, bits: int, block: int
) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of :func:`pack_tiles`: (mask bool [R, count], codes uint8 [R, count], 0 where pruned)."""
    blocks, tiles = -(-count // block), -(-rows // TILE)
    quads = -(-blocks // _QUAD)
    codes = unpack_codes(packed, bits + position_bits(block), quads * _QUAD * TILE)
    ordered = codes.reshape(tiles, quads, TILE, _QUAD).transpose(0, 2, 1, 3)
    joined = ordered.reshape(tiles * TILE, -1)[:rows, :blocks]
    columns = np.arange(blocks) * block + (joined & (block - 1))
    if columns.size and int(columns.max()) >= count:
        raise KernelError("a block keeps a weight past the last column", found=int(columns.max()))
    mask, levels = np.zeros((rows, count), bool), np.zeros((rows, count), np.uint8)
    np.put_along_axis(mask, columns, True, axis=1)
    np.put_along_axis(levels, columns, joined >> np.uint8(position_bits(block)), axis=1)
    return mask, levels

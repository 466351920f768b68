"""Codes <-> packed bytes: the bit planes that every layout shares.

Codes are packed in blocks of :data:`BLOCK` = 128 codes, ``16 * bits`` bytes each, so that a kernel loads
whole SIMD registers and never crosses a byte. A block is the concatenation of bit planes, by the bits set
in ``bits``, lowest bits of the code first:

* ``bits == 8``: 128 bytes, byte ``j`` is code ``j``;
* ``bits & 4``: 64 bytes, byte ``j`` holds 4 bits of code ``j`` (low nibble) and of code ``64 + j``;
* ``bits & 2``: 32 bytes, byte ``j`` holds 2 bits of codes ``j``, ``32 + j``, ``64 + j``, ``96 + j``;
* ``bits & 1``: 16 bytes, bit ``k`` of byte ``j`` belongs to code ``16 * k + j``.

A row of ``n`` codes takes ``ceil(n / 128)`` blocks; the codes past ``n`` are 0. What a layer's rows are is its layout's
to say: :mod:`pocketvlad.lut.layouts`.
"""

from __future__ import annotations

import numpy as np

from pocketvlad.errors import KernelError

BLOCK = 128
_PLANES = (4, 2, 1)


def row_bytes(count: int, bits: int) -> int:
    """Bytes of one packed row of ``count`` codes."""
    return -(-count // BLOCK) * 16 * bits


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

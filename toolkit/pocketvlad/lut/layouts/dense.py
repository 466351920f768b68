"""A code for every weight; a pruned weight is the code of a zero centroid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pocketvlad.lut import packing
from pocketvlad.lut.layouts.base import Layout, PackedLut, packed_rows


@dataclass(frozen=True)
class Dense(Layout):
    """uint8 [O, row_bytes], or flat [1, row_bytes]: rows of :mod:`pocketvlad.lut.packing`."""

    name: ClassVar[str] = "dense"
    numbers: ClassVar[tuple[int, ...]] = (0, 1)
    masked: ClassVar[bool] = False

    def pack(
        self, shape: tuple[int, ...], bits: int, codes: np.ndarray, mask: np.ndarray | None
    ) -> PackedLut:
        del mask
        return PackedLut(packing.pack_codes(codes.reshape(packed_rows(shape)), bits))

    def unpack(
        self, shape: tuple[int, ...], bits: int, packed: PackedLut
    ) -> tuple[np.ndarray, np.ndarray | None]:
        _, length = packed_rows(shape)
        return packing.unpack_codes(packed.packed, bits, length).reshape(shape[0], -1), None

    def packed_bytes(self, shape: tuple[int, ...], bits: int, kept: np.ndarray | None = None) -> int:
        del kept
        rows, length = packed_rows(shape)
        return rows * packing.row_bytes(length, bits)

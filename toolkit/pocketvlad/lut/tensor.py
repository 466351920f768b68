"""A weight tensor as codes, codebook, scales and mask: what compression makes and kernels read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pocketvlad.errors import KernelError
from pocketvlad.lut import packing

MAX_COLUMNS = 131_072  # int32 sums of 127 * 127 products hold 133,144 terms
FLAT, ROWS = "flat", "rows"


@dataclass(frozen=True, eq=False)
class PackedLut:
    """The bytes of a :class:`LutTensor` as they lie in the program.

    Attributes:
        packed: uint8 [O, row_bytes] (dense rows), [1, row_bytes] (dense flat), [total] (sparse) or
            [ceil(O / 16), tile_bytes] (blocks).
        row_offsets: int32 [O + 1] for sparse rows, else None.
    """

    packed: np.ndarray
    row_offsets: np.ndarray | None

    @property
    def nbytes(self) -> int:
        return self.packed.nbytes + (0 if self.row_offsets is None else self.row_offsets.nbytes)


@dataclass(frozen=True, eq=False)
class LutTensor:
    """``weight[o, i] = codebook[o // rows_per_group, codes[o, i]] * row_scale[o]``, or 0 where masked out.

    Attributes:
        shape: of the weight, output rows first.
        bits: 1 to 8 per code.
        codes: uint8 [O, I], I the product of the other dimensions.
        codebook: float32 [G, 2**bits]; group g serves rows [g * ceil(O / G), (g + 1) * ceil(O / G)).
        row_scale: float32 [O] or None.
        mask: bool [O, I], true where a weight survives, for the sparse layout; None for the dense layout,
            where a pruned weight is the code of a zero centroid.
        block: 2, 4, 8 or 16 where the mask keeps exactly one of every ``block`` weights of a row, else 0.
    """

    shape: tuple[int, ...]
    bits: int
    codes: np.ndarray
    codebook: np.ndarray
    row_scale: np.ndarray | None = None
    mask: np.ndarray | None = None
    block: int = 0

    def __post_init__(self) -> None:
        rows, columns = self.rows, self.columns
        wanted = {
            "codes": (self.codes, np.uint8, (rows, columns)),
            "codebook": (self.codebook, np.float32, (self.codebook.shape[0], 2**self.bits)),
            "row_scale": (self.row_scale, np.float32, (rows,)),
            "mask": (self.mask, np.bool_, (rows, columns)),
        }
        for name, (array, dtype, shape) in wanted.items():
            if array is not None and (array.dtype != dtype or array.shape != shape):
                raise KernelError(
                    f"a compressed layer has a wrong {name}",
                    found=f"{array.dtype}{list(array.shape)}",
                    allowed=f"{np.dtype(dtype)}{list(shape)}",
                )
        if not 1 <= self.bits <= 8 or columns > MAX_COLUMNS:
            raise KernelError(
                "a layer cannot be compressed",
                found=f"{self.bits} bits, {columns} inputs",
                allowed=f"1 to 8 bits, at most {MAX_COLUMNS} inputs",
            )
        if self.block:
            self._check_blocks()

    def _check_blocks(self) -> None:
        whole_tiles = self.groups == 1 or self.rows_per_group % packing.TILE == 0
        fits = len(self.shape) == 2 and whole_tiles and self.block in packing.BLOCKS
        if self.mask is None or not fits or self.bits + packing.position_bits(self.block) > 7:
            raise KernelError(
                "a layer cannot be packed in blocks",
                found=f"blocks of {self.block}, {self.bits} bits, {self.groups} codebooks, shape {self.shape}",
                allowed="blocks of 2, 4, 8 or 16 of a matrix, at most 7 bits for position and level, codebooks "
                "for whole multiples of 16 rows",
            )
        starts = np.arange(0, self.columns, self.block)
        if not (np.add.reduceat(self.mask, starts, axis=1, dtype=np.uint8) == 1).all():
            raise KernelError("a block layer keeps one weight of every block", found="another number")

    @property
    def rows(self) -> int:
        return self.shape[0]

    @property
    def columns(self) -> int:
        return int(np.prod(self.shape[1:]))

    @property
    def groups(self) -> int:
        return self.codebook.shape[0]

    @property
    def rows_per_group(self) -> int:
        return -(-self.rows // self.groups)

    def dequantize(self) -> np.ndarray:
        """The weight, float32 of ``shape``."""
        weight = np.empty((self.rows, self.columns), np.float32)
        step = self.rows_per_group
        for group, start in enumerate(range(0, self.rows, step)):
            np.take(self.codebook[group], self.codes[start : start + step], out=weight[start : start + step])
        if self.mask is not None:
            weight *= self.mask
        if self.row_scale is not None:
            weight *= self.row_scale[:, None]
        return weight.reshape(self.shape)

    @property
    def layout(self) -> str:
        """``rows`` for matrices (each output row starts a block), ``flat`` for everything else."""
        return ROWS if len(self.shape) == 2 else FLAT

    @cached_property
    def packed(self) -> PackedLut:
        """The packed form of :mod:`pocketvlad.lut.packing`: rows for matrices, flat for convolutions."""
        flat = self.layout == FLAT
        if self.block and self.mask is not None:
            return PackedLut(packing.pack_tiles(self.mask, self.codes, self.bits, self.block), None)
        codes = self.codes.reshape(1, -1) if flat else self.codes
        if self.mask is None:
            return PackedLut(packing.pack_codes(codes, self.bits), None)
        mask = self.mask.reshape(1, -1) if flat else self.mask
        packed, offsets = packing.pack_sparse(mask, codes, self.bits)
        return PackedLut(packed, None if flat else offsets)

    @classmethod
    def from_packed(
        cls,
        packed: PackedLut,
        shape: tuple[int, ...],
        bits: int,
        codebook: np.ndarray,
        row_scale: np.ndarray | None,
        sparse: bool,
        block: int = 0,
    ) -> LutTensor:
        """Inverse of :attr:`packed`."""
        rows, columns = shape[0], int(np.prod(shape[1:]))
        flat = len(shape) != 2
        count = rows * columns if flat else columns
        mask = None
        if block:
            mask, codes = packing.unpack_tiles(packed.packed, rows, columns, bits, block)
        elif sparse:
            offsets = packed.row_offsets
            offsets = np.asarray([0, packed.packed.size], np.int64) if offsets is None else offsets
            mask, codes = packing.unpack_sparse(packed.packed, offsets, bits, count)
            mask = mask.reshape(rows, columns)
        else:
            codes = packing.unpack_codes(packed.packed, bits, count)
        return cls(tuple(shape), bits, codes.reshape(rows, columns), codebook, row_scale, mask, block)

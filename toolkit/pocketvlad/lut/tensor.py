"""A weight tensor as codes, codebook, scales and mask: what compression makes and kernels read."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pocketvlad.errors import KernelError
from pocketvlad.lut.layouts import Dense, Layout, PackedLut

MAX_COLUMNS = 131_072  # int32 sums of 127 * 127 products hold 133,144 terms


@dataclass(frozen=True, eq=False)
class LutTensor:
    """``weight[o, i] = codebook[o // rows_per_group, codes[o, i]] * row_scale[o]``, or 0 where masked out.

    Attributes:
        shape: of the weight, output rows first.
        bits: 1 to 8 per code.
        codes: uint8 [O, I], I the product of the other dimensions.
        codebook: float32 [G, 2**bits]; group g serves rows [g * ceil(O / G), (g + 1) * ceil(O / G)).
        row_scale: float32 [O] or None.
        mask: bool [O, I], true where a weight survives, for layouts that leave weights out; else None, and a pruned
            weight is the code of a zero centroid.
        layout: how it is packed.
    """

    shape: tuple[int, ...]
    bits: int
    codes: np.ndarray
    codebook: np.ndarray
    row_scale: np.ndarray | None = None
    mask: np.ndarray | None = None
    layout: Layout = field(default_factory=Dense)

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
        self.layout.check(self.shape, self.bits, self.groups)
        self.layout.check_mask(self.mask)

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

    @cached_property
    def packed(self) -> PackedLut:
        """The bytes, as :attr:`layout` packs them."""
        return self.layout.pack(self.shape, self.bits, self.codes, self.mask)

    @classmethod
    def from_packed(
        cls,
        packed: PackedLut,
        shape: tuple[int, ...],
        bits: int,
        codebook: np.ndarray,
        row_scale: np.ndarray | None,
        layout: Layout,
    ) -> LutTensor:
        """Inverse of :attr:`packed`.

        Raises:
            KernelError: such a layer cannot be, or the bytes are not one's.
        """
        layout.check(shape, bits, codebook.shape[0])
        codes, mask = layout.unpack(shape, bits, packed)
        return cls(shape, bits, codes, codebook, row_scale, mask, layout)

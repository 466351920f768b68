"""What a packed layout is: how codes lie in bytes, which weights they leave out, and who asks for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from pocketvlad.errors import KernelError

AUTO = "auto"  # a recipe's word for the smallest of the layouts that fit


class Options(Protocol):
    """The options of a recipe that layouts read, of :class:`pocketvlad.compress.recipe.LayerRecipe`."""

    @property
    def bits(self) -> int: ...
    @property
    def threshold(self) -> float: ...
    @property
    def sparsity(self) -> float: ...
    @property
    def layout(self) -> str: ...
    @property
    def block(self) -> int: ...


@dataclass(frozen=True, eq=False)
class PackedLut:
    """The bytes of a :class:`pocketvlad.lut.tensor.LutTensor` as they lie in the program.

    Attributes:
        packed: uint8, of the shape its layout says.
        row_offsets: int32 [O + 1] for the rows of a bitmap layout, else None.
    """

    packed: np.ndarray
    row_offsets: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        return self.packed.nbytes + (0 if self.row_offsets is None else self.row_offsets.nbytes)


@dataclass(frozen=True)
class Layout(ABC):
    """One way to pack a layer; a subclass is a frozen dataclass whose fields are the layout's parameters.

    Weights are [O, I], I the product of all dimensions but the first. A matrix is packed row by row; the weights of
    a convolution are one packed row of O * I codes ("flat").

    Attributes:
        name: in files, recipes and tables.
        numbers: ``pv_layout`` of ``kernels/lut/lut.h``: of rows, and of a flat layer where it packs those too.
        masked: whether a weight may be left out; if not, a pruned weight is the code of a zero centroid.
        group: so many consecutive weights of a row decide together which of them stay (:meth:`chosen`); 0: each
            weight stays or goes by the recipe's threshold or sparsity.
    """

    name: ClassVar[str]
    numbers: ClassVar[tuple[int, ...]]
    masked: ClassVar[bool]

    @property
    def group(self) -> int:
        return 0

    @property
    def parameter(self) -> int:
        """What the kernels must know beside the number, their ``block``."""
        return 0

    @property
    def label(self) -> str:
        """For people."""
        return self.name

    @classmethod
    def asked(cls, options: Options) -> Layout | None:
        """This layout with the parameters that a recipe gives it; None where the recipe excludes it."""
        return cls() if options.layout in (AUTO, cls.name) and not options.block else None

    @classmethod
    def of_parameter(cls, parameter: int) -> Layout:
        """The layout whose :attr:`parameter` that is."""
        del parameter
        return cls()

    def problem(self, options: Options) -> tuple[str, object, object] | None:
        """The first option it cannot do, as name, value and what is allowed; None: it can do them."""
        del options
        return None

    def describe(self) -> dict[str, Any]:
        """As JSON in a file's description; :func:`pocketvlad.lut.layouts.described` reads it."""
        return {"layout": self.name, **asdict(self)}

    def number(self, shape: tuple[int, ...]) -> int:
        """``pv_layout`` of a layer of this shape."""
        return self.numbers[is_flat(shape)]

    def packs(self, shape: tuple[int, ...]) -> bool:
        """Whether layers of this shape can be packed like this."""
        return is_flat(shape) < len(self.numbers)

    def check(self, shape: tuple[int, ...], bits: int, groups: int) -> None:
        """Raise KernelError for a layer with ``groups`` codebooks that cannot be packed like this."""
        del bits, groups
        if not self.packs(shape):
            raise KernelError(f"layout {self.label} packs matrices", found=f"shape {shape}")

    def check_mask(self, mask: np.ndarray | None) -> None:
        """Raise KernelError for a mask, bool [O, I] or None, that this layout cannot say."""
        if (mask is not None) != self.masked:
            raise KernelError(
                f"a compressed layer has a wrong mask for layout {self.label}",
                found="no mask" if mask is None else "a mask",
                allowed="a mask" if self.masked else "none",
            )

    def chosen(self, sizes: np.ndarray) -> np.ndarray:
        """Which weights of a group stay: float32 [..., group], -1 past the end of a row -> bool of that shape."""
        raise NotImplementedError(f"layout {self.name} has no groups")

    def survivors(self, matrix: np.ndarray) -> np.ndarray:
        """Bool [O, I]: what stays of float32 [O, I] where groups decide (:attr:`group` is not 0)."""
        rows, columns = matrix.shape
        sizes = np.full((rows, -(-columns // self.group) * self.group), -1, np.float32)
        np.abs(matrix, out=sizes[:, :columns])
        keep = self.chosen(sizes.reshape(rows, -1, self.group))
        return keep.reshape(sizes.shape)[:, :columns]

    @abstractmethod
    def pack(
        self, shape: tuple[int, ...], bits: int, codes: np.ndarray, mask: np.ndarray | None
    ) -> PackedLut:
        """Codes uint8 [O, I], each below ``2**bits``, and mask bool [O, I] or None -> bytes."""

    @abstractmethod
    def unpack(
        self, shape: tuple[int, ...], bits: int, packed: PackedLut
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Inverse of :meth:`pack`: codes, 0 where left out, and mask. KernelError: the bytes do not fit."""

    @abstractmethod
    def packed_bytes(self, shape: tuple[int, ...], bits: int, kept: np.ndarray | None = None) -> int:
        """What :meth:`pack` will take, with row offsets.

        Args:
            kept: int [packed rows], how many weights of each stay; None: all.
        """

    def mask_bytes(self, shape: tuple[int, ...]) -> int:
        """Of the packed bytes, those that only say which weights stay."""
        del shape
        return 0


def is_flat(shape: tuple[int, ...]) -> bool:
    """Whether a layer of this shape is one packed row: everything but matrices."""
    return len(shape) != 2


def packed_rows(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many packed rows a layer of this shape has, and how many weights each."""
    rows, columns = shape[0], int(np.prod(shape[1:]))
    return (1, rows * columns) if is_flat(shape) else (rows, columns)

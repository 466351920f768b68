"""Arrays that lie one after the other in parts of a file, read as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Chained:
    """Arrays of one type, [n, ...] together; nothing is copied until rows are asked for.

    Attributes:
        pieces: the arrays.
        dtype, shape: of all.
    """

    def __init__(self, pieces: Sequence[np.ndarray]):
        self.pieces = tuple(pieces)
        self._ends = np.cumsum([len(piece) for piece in self.pieces])
        self.dtype = self.pieces[0].dtype
        self.shape = (int(self._ends[-1]), *self.pieces[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, at: slice | np.ndarray) -> np.ndarray:
        """A copy of these rows: a slice, or whole numbers from 0 on, int [m]."""
        rows = np.arange(len(self))[at] if isinstance(at, slice) else np.asarray(at)
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        owners = np.searchsorted(self._ends, rows, side="right")
        for owner in np.unique(owners):
            mine, piece = owners == owner, self.pieces[owner]
            found[mine] = piece[rows[mine] - (self._ends[owner] - len(piece))]
        return found


Array = np.ndarray | Chained


def pieces_of(array: Array) -> tuple[np.ndarray, ...]:
    """The arrays that it is; itself where it is one."""
    return array.pieces if isinstance(array, Chained) else (array,)

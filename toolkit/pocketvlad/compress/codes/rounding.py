"""A block of inputs rounded column by column, each error made up for in the columns still to come."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pocketvlad.compress.codes.assignment import Grid
from pocketvlad.lut.layouts import Dense, Layout

_COLUMNS = 64  # columns whose errors are spread at once


@dataclass(frozen=True, eq=False)
class Levels:
    """What the weights of some rows may become.

    Attributes:
        values: float32 [G, L], sorted.
        group: int64 [O], the codebook of each row.
        scale: float32 [O] or None.
        threshold: weights below it in magnitude, in units of their scale, are pruned; 0: none are.
        layout: whose groups, if it has any, say which weights are kept.
    """

    values: Tensor
    group: Tensor
    scale: Tensor | None = None
    threshold: float = 0.0
    layout: Layout = field(default_factory=Dense)

    @property
    def prunes(self) -> bool:
        """Whether some weights are pruned."""
        return self.threshold > 0 or self.layout.group > 0

    @classmethod
    def of(cls, grid: Grid, threshold: float) -> Levels:
        """The levels of a grid."""
        groups = len(grid.codebook)
        outputs = grid.rows
        group = torch.arange(outputs) // -(-outputs // groups)
        scale = None if grid.scale is None else torch.from_numpy(grid.scale)
        return cls(torch.from_numpy(grid.codebook), group, scale, threshold, grid.layout)

    def nearest(self, weight: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
        """One column of weights float32 [O] -> codes int64 [O] (-1: pruned) and values float32 [O]."""
        scaled = weight if self.scale is None else weight / self.scale
        if len(self.values) == 1:
            middles = (self.values[0, 1:] + self.values[0, :-1]) / 2
            codes = torch.bucketize(scaled, middles)
            values = self.values[0][codes]
        else:
            levels = self.values[self.group]
            codes = (scaled[:, None] - levels).abs().argmin(dim=1)
            values = levels.gather(1, codes[:, None])[:, 0]
        values = values if self.scale is None else values * self.scale
        if threshold:
            pruned = scaled.abs() < threshold
            return codes.masked_fill(pruned, -1), values.masked_fill(pruned, 0)
        return codes, values


def upper_of_inverse(hessian: Tensor) -> Tensor:
    """Upper triangular U with ``U^T U = hessian^-1``, float32 [..., n, n].

    With J, which turns the order of rows round, and ``J hessian J = L L^T``, it is ``J L^-1 J``: a third of the work of
    an inverse and its Cholesky factor.
    """
    lower = torch.linalg.cholesky(hessian.double().flip(-1, -2))
    one = torch.eye(lower.shape[-1], dtype=lower.dtype)
    return torch.linalg.solve_triangular(lower, one, upper=False).flip(-1, -2).float()


def round_block(weight: Tensor, hessian: Tensor, levels: Levels, threshold: float) -> tuple[Tensor, Tensor]:
    """GPTQ on one block.

    Args:
        weight: float32 [n, O], changed in place.
        hessian: float32 [n, n].
        levels, threshold: what weights may become.

    Returns:
        codes int16 [n, O], -1 where pruned, and values float32 [n, O].
    """
    upper = upper_of_inverse(hessian)
    codes, values = torch.empty(weight.shape, dtype=torch.int16), torch.empty_like(weight)
    count, group = weight.shape[0], levels.layout.group
    spread = upper.diagonal()[:, None]  # how much of an error here the weights to come cannot make up for
    for start in range(0, count, _COLUMNS):
        stop = min(start + _COLUMNS, count)
        errors = torch.empty(stop - start, weight.shape[1])
        for column in range(start, stop):
            if group and column % group == 0:
                part = slice(column, column + group)
                pruned = _left_out(weight[part].abs() / spread[part], levels.layout)  # SparseGPT's rule
            codes[column], values[column] = levels.nearest(weight[column], threshold)
            if group:
                codes[column].masked_fill_(pruned[column % group], -1)
                values[column].masked_fill_(pruned[column % group], 0)
            error = (weight[column] - values[column]) / upper[column, column]
            weight[column + 1 : stop] -= upper[column, column + 1 : stop, None] * error
            errors[column - start] = error
        weight[stop:] -= upper[start:stop, stop:].T @ errors
    return codes, values


def _left_out(sizes: Tensor, layout: Layout) -> Tensor:
    """Which weights of a group its layout leaves out: sizes float32 [up to group, O] -> bool of that shape."""
    whole = nn.functional.pad(sizes, (0, 0, 0, layout.group - len(sizes)), value=-1)
    return ~torch.from_numpy(layout.chosen(whole.T.numpy()).T)[: len(sizes)]

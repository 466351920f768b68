"""Error-compensated assignment: each weight's rounding error is made up for by the weights still to come.

GPTQ (Frantar, Ashkboos, Hoefler, Alistarh, ICLR 2023; after Hassibi and Stork's optimal brain surgeon) with
two additions. The curvature may be block diagonal plus low rank, which a whitening layer of 32,768 inputs
needs: a dense one has a billion entries, and a few hundred photos alone say nothing about most directions.
And levels are those of any codebook, a pruned weight being one of them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pocketvlad.compress.codes.alike import of_photos_that_differ
from pocketvlad.compress.codes.assignment import Grid
from pocketvlad.compress.codes.prune import sparsity_threshold
from pocketvlad.compress.codes.rounding import Levels, round_block, upper_of_inverse
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.lut.tensor import LutTensor


@dataclass(frozen=True, eq=False)
class Curvature:
    """What an error ``e`` in the weights of one output row costs: ``e^T (diag(blocks) + factor^T factor) e``.

    Attributes:
        blocks: float32 [B, n, n], positive definite; block b belongs to inputs b * n to (b + 1) * n.
        factor: float32 [M, B * n] or None.
    """

    blocks: Tensor
    factor: Tensor | None = None

    @property
    def dense(self) -> bool:
        """Whether it is one block and nothing else."""
        return len(self.blocks) == 1 and self.factor is None

    def times(self, rows: Tensor) -> Tensor:
        """Each row of float32 [O, I] times the curvature."""
        blocks, size, _ = self.blocks.shape
        parts = rows.reshape(len(rows), blocks, size).transpose(0, 1)
        product = torch.bmm(parts, self.blocks).transpose(0, 1).reshape(rows.shape)
        return product if self.factor is None else product + (rows @ self.factor.T) @ self.factor


@dataclass(frozen=True, eq=False)
class Assignment:
    """Result of :func:`compensate`.

    Attributes:
        codes: uint8 [O, I]; 0 where pruned.
        keep: bool [O, I] or None if nothing was to be pruned.
    """

    codes: np.ndarray
    keep: np.ndarray | None


@of_photos_that_differ()
def compensate(
    weight: Tensor,
    levels: Levels,
    curvature: Curvature,
    *,
    density: float | None = None,
) -> Assignment:
    """Assign every weight, block of inputs by block of inputs.

    Args:
        weight: float32 [O, I].
        levels: of the codebook.
        curvature: of the layer's inputs.
        density: share of weights to keep; moves the threshold from block to block so that it is met.

    Raises:
        PhotoError: the photos hardly differ, so that the inputs say nothing of how weights go together.
    """
    outputs, inputs = weight.shape
    size = curvature.blocks.shape[1]
    codes = np.empty((outputs, inputs), np.uint8)
    keep = np.empty((outputs, inputs), bool) if levels.prunes else None
    rest = Rest(curvature, outputs)
    threshold, kept, seen = levels.threshold, 0, 0
    for block in range(curvature.blocks.shape[0]):
        part = slice(block * size, (block + 1) * size)
        hessian, shift = rest.enter(block)
        target = weight[:, part] if shift is None else weight[:, part] - shift
        copied = target.T.clone(
            memory_format=torch.contiguous_format
        )  # of one row, .contiguous() would be a view
        found, values = round_block(copied, hessian, levels, threshold)
        rest.leave(values.T - weight[:, part])
        if keep is not None:
            keep[:, part] = (found >= 0).T.numpy()
            kept, seen = kept + int((found >= 0).sum()), seen + found.numel()
            if density is not None:
                threshold *= float(np.clip(kept / seen / density, 0.8, 1.25)) ** 0.5
        codes[:, part] = found.clamp_min(0).T.to(torch.uint8).numpy()
    return Assignment(codes, keep)


def compensate_grid(
    weight: Tensor,
    grid: Grid,
    recipe: LayerRecipe,
    curvatures: list[Curvature],
) -> LutTensor:
    """A whole layer on a grid by :func:`compensate`.

    Args:
        weight: float32 [O, ...].
        grid: codebooks, scales and the layout; which weights are pruned is decided anew.
        recipe: its threshold or sparsity.
        curvatures: one, or one for each group of a grouped convolution (consecutive output rows).
    """
    matrix = weight.reshape(weight.shape[0], -1)
    threshold = recipe.threshold
    if recipe.sparsity:
        scaled = matrix if grid.scale is None else matrix / torch.from_numpy(grid.scale)[:, None]
        threshold = sparsity_threshold(scaled.numpy(), recipe.sparsity)
    density = 1 - recipe.sparsity if recipe.sparsity else None
    levels = Levels.of(grid, threshold)
    if len(curvatures) > 1:
        found = _compensate_groups(matrix, levels, curvatures)
    elif curvatures[0].dense and not grid.layout.group:
        found = _in_order_of_energy(matrix, levels, curvatures[0], density)
    else:
        found = compensate(matrix, levels, curvatures[0], density=density)
    codes, keep = found.codes, found.keep
    if keep is not None and not grid.layout.masked:
        zeros = np.abs(grid.codebook).argmin(axis=1).astype(np.uint8)
        codebook_of = np.arange(len(codes)) // -(-len(codes) // len(zeros))
        codes = np.where(keep, codes, zeros[codebook_of][:, None])
    return refit_scales(weight, grid.lut(tuple(weight.shape), codes, keep), curvatures)


def _in_order_of_energy(
    weight: Tensor, levels: Levels, curvature: Curvature, density: float | None
) -> Assignment:
    """:func:`compensate` with the inputs of most energy first: what they lose others can still make up for."""
    hessian = curvature.blocks[0]
    order = hessian.diagonal().argsort(descending=True, stable=True)
    back = order.argsort().numpy()
    found = compensate(weight[:, order], levels, Curvature(hessian[order][:, order][None]), density=density)
    return Assignment(found.codes[:, back], None if found.keep is None else found.keep[:, back])


def refit_scales(weight: Tensor, lut: LutTensor, curvatures: list[Curvature]) -> LutTensor:
    """Row scales that cost least for these codes: ``s * (w^T H q) / (q^T H q)`` (no scales: unchanged)."""
    if lut.row_scale is None:
        return lut
    matrix, used = weight.reshape(lut.rows, -1), torch.from_numpy(lut.dequantize()).reshape(lut.rows, -1)
    rows, factors = lut.rows // len(curvatures), []
    for group, curvature in enumerate(curvatures):
        q, w = used[group * rows : (group + 1) * rows], matrix[group * rows : (group + 1) * rows]
        pulled = curvature.times(q)
        square, shared = (q * pulled).sum(dim=1), (w * pulled).sum(dim=1)
        factors.append(torch.where(square > 0, shared / square.clamp_min(1e-30), 1))
    scale = lut.row_scale * torch.cat(factors).numpy()
    return dataclasses.replace(lut, row_scale=scale.astype(np.float32))


def _compensate_groups(weight: Tensor, levels: Levels, curvatures: list[Curvature]) -> Assignment:
    """:func:`compensate` of a grouped convolution, all groups at once: each is one block, of a few inputs, alone."""
    groups, inputs = len(curvatures), weight.shape[1]
    hessian = torch.cat([curvature.blocks for curvature in curvatures])
    upper = upper_of_inverse(hessian)[:, None]
    rest = weight.reshape(groups, -1, inputs).clone()  # [G, rows, I]
    codes = torch.empty(weight.shape, dtype=torch.int16)
    for column in range(inputs):
        wanted = rest[:, :, column]
        codes[:, column], values = levels.nearest(wanted.reshape(-1), levels.threshold)
        error = (wanted - values.reshape(wanted.shape)) / upper[:, :, column, column]
        rest[:, :, column + 1 :] -= upper[:, :, column, column + 1 :] * error[:, :, None]
    keep = (codes >= 0).numpy() if levels.prunes else None
    return Assignment(codes.clamp_min(0).to(torch.uint8).numpy(), keep)


class Rest:
    """The curvature of a block when the blocks after it will do their best, and what is left to make up for.

    With ``S = I + sum of X_j D_j^-1 X_j^T`` over the blocks j to come (the Woodbury identity), the block's
    own curvature is ``H = D + X^T S^-1 X`` and a residual r pulls its weights by ``-H^-1 X^T S^-1 r``.
    """

    def __init__(self, curvature: Curvature, outputs: int):
        self._blocks = curvature.blocks
        self._factor: Tensor | None = None
        if curvature.factor is None:
            return
        count, (blocks, size, _) = curvature.factor.shape[0], curvature.blocks.shape
        self._factor = curvature.factor.reshape(count, blocks, size)
        self._inner = torch.eye(count, dtype=torch.float64)
        for block in range(blocks):
            self._inner += self._spread(self._factor[:, block], block)
        self._residual = torch.zeros(count, outputs)

    def _spread(self, part: Tensor, block: int) -> Tensor:
        return (part @ torch.linalg.solve(self._blocks[block], part.T)).double()

    def enter(self, block: int) -> tuple[Tensor, Tensor | None]:
        """The block's curvature [n, n], and what to subtract from its weights [O, n]."""
        self._block = block
        if self._factor is None:
            return self._blocks[block], None
        part = self._factor[:, block]
        self._inner -= self._spread(part, block)
        cholesky = torch.linalg.cholesky(((self._inner + self._inner.T) / 2).float())
        weighted = torch.cholesky_solve(part, cholesky)
        hessian = self._blocks[block] + part.T @ weighted
        hessian = (hessian + hessian.T) / 2
        return hessian, torch.linalg.solve(hessian, weighted.T @ self._residual).T

    def leave(self, error: Tensor) -> None:
        """Note the block's weight errors, float32 [O, n]."""
        if self._factor is not None:
            self._residual += self._factor[:, self._block] @ error.T

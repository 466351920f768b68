"""Error-compensated assignment against brute force and against nearest rounding."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from pocketvlad.compress.codes.assignment import assign_nearest, make_grid
from pocketvlad.compress.codes.compensation import Curvature, Levels, compensate, compensate_grid
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.errors import PhotoError


def correlated(samples: int, inputs: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(inputs, inputs, generator=generator) / inputs**0.5
    return torch.randn(samples, inputs, generator=generator) @ mixing


def cost(curvature: Curvature, error: torch.Tensor) -> float:
    """sum over rows of e^T (diag(blocks) + factor^T factor) e."""
    blocks, size, _ = curvature.blocks.shape
    parts = error.reshape(len(error), blocks, size)
    total = torch.einsum("oki,kij,okj->", parts, curvature.blocks, parts)
    return float(total if curvature.factor is None else total + (error @ curvature.factor.T).square().sum())


def decoded(found, levels: Levels) -> torch.Tensor:
    values = levels.values[0][torch.from_numpy(found.codes.astype(np.int64))]
    return values if found.keep is None else values * torch.from_numpy(found.keep)


def dense(curvature: Curvature) -> torch.Tensor:
    matrix = torch.block_diag(*curvature.blocks)
    return matrix if curvature.factor is None else matrix + curvature.factor.T @ curvature.factor


@pytest.fixture
def wide() -> Curvature:
    x = correlated(20, 48, 3)
    blocks = torch.stack(
        [x[:, k : k + 8].T @ x[:, k : k + 8] / 20 + 0.1 * torch.eye(8) for k in range(0, 48, 8)]
    )
    return Curvature(blocks, x / 20**0.5)


def one_group(values: list[float], rows: int, threshold: float = 0.0) -> Levels:
    return Levels(torch.tensor([values]), torch.zeros(rows, dtype=torch.int64), None, threshold)


def test_blocks_and_low_rank_give_the_codes_of_the_dense_curvature(wide):
    weight = torch.randn(10, 48, generator=torch.Generator().manual_seed(0))
    levels = one_group([-1.5, -0.5, 0.0, 0.5, 1.5], 10)
    split = compensate(weight, levels, wide)
    whole = compensate(weight, levels, Curvature(dense(wide)[None]))
    assert (split.codes == whole.codes).mean() > 0.98  # float32 ties may fall differently


def test_it_costs_less_than_nearest_rounding(wide):
    weight = torch.randn(64, 48, generator=torch.Generator().manual_seed(0))
    levels = one_group([-1.5, -0.5, 0.5, 1.5], 64)
    nearest = levels.values[0][torch.bucketize(weight, (levels.values[0, 1:] + levels.values[0, :-1]) / 2)]
    found = decoded(compensate(weight, levels, wide), levels)
    assert cost(wide, found - weight) < 0.75 * cost(wide, nearest - weight)


def test_it_is_near_the_optimum_of_a_small_problem():
    x = correlated(30, 6, 1)
    curvature = Curvature((x.T @ x / 30 + 0.01 * torch.eye(6))[None])
    weight = torch.randn(8, 6, generator=torch.Generator().manual_seed(2))
    levels = one_group([-1.0, 0.0, 1.0], 8)
    options = torch.tensor(list(itertools.product([-1.0, 0.0, 1.0], repeat=6)))
    best = sum(min(cost(curvature, (o - row)[None]) for o in options) for row in weight)
    assert cost(curvature, decoded(compensate(weight, levels, curvature), levels) - weight) < 2.5 * best


def test_the_threshold_moves_until_the_density_is_met(wide):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(200, 48, generator=generator)
    found = compensate(weight, one_group([-1.6, 1.6], 200, 1.0), wide, density=0.2)
    assert found.keep.mean() == pytest.approx(0.2, abs=0.03)
    assert not found.codes[~found.keep].any() or set(np.unique(found.codes)) <= {0, 1}


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("rows_per_codebook", [0, 4])
def test_grids_with_scales_groups_and_pruning(wide, layout, rows_per_codebook):
    weight = (
        torch.randn(16, 48, generator=torch.Generator().manual_seed(0)) * torch.logspace(-1, 1, 16)[:, None]
    )
    recipe = LayerRecipe(
        bits=3, sparsity=0.5, layout=layout, row_scale="rms", rows_per_codebook=rows_per_codebook
    )
    grid = make_grid(weight.numpy(), recipe).snapped()
    lut = compensate_grid(weight, grid, recipe, [wide])
    plain = assign_nearest(weight.numpy(), grid)
    scale = torch.from_numpy(grid.scale)[:, None]
    after = cost(wide, (torch.from_numpy(lut.dequantize()) - weight) / scale)
    before = cost(wide, (torch.from_numpy(plain.dequantize()) - weight) / scale)
    assert after < before and (lut.mask is not None) == (layout == "sparse")


@pytest.mark.parametrize("block", [4, 8])
def test_compensated_blocks_keep_one_weight_and_cost_less(wide, block):
    weight = torch.randn(40, 48, generator=torch.Generator().manual_seed(0))
    recipe = LayerRecipe(bits=2, block=block, row_scale="rms")
    grid = make_grid(weight.numpy(), recipe).snapped()
    lut = compensate_grid(weight, grid, recipe, [wide])
    assert (lut.mask.reshape(40, -1, block).sum(axis=2) == 1).all()
    plain = assign_nearest(weight.numpy(), grid)
    after = cost(wide, torch.from_numpy(lut.dequantize()) - weight)
    assert after < cost(wide, torch.from_numpy(plain.dequantize()) - weight)


def test_photos_that_are_all_alike_are_one_line():
    """Rounding leaves such a curvature with an eigenvalue below zero: no traceback of a failed factorisation."""
    alike = torch.full((1, 4, 4), 1e6) - 0.01 * torch.eye(4)
    with pytest.raises(PhotoError, match="calibrate hardly differ; .* all alike; give photos of the places"):
        compensate(torch.ones(2, 4), one_group([-1.0, 1.0], 2), Curvature(alike))


@pytest.mark.parametrize("rows", [1, 3])
def test_groups_at_once_are_each_group_alone(rows):
    """A grouped convolution's; the weights that are given stay as they are, of one row too."""
    torch.manual_seed(0)
    weight = torch.randn(20 * rows, 1, 3, 3)
    inputs = torch.randn(20, 60, 9) @ torch.randn(20, 9, 9)
    curvatures = [Curvature((x.T @ x / 60 + torch.eye(9) / 100)[None]) for x in inputs]
    recipe = LayerRecipe(4, row_scale="max", threshold=0.1, layout="dense")
    grid, before = make_grid(weight.numpy(), recipe), weight.clone()
    found = compensate_grid(weight, grid, recipe, curvatures)
    torch.testing.assert_close(weight, before, rtol=0, atol=0)
    levels = Levels.of(grid, recipe.threshold)
    for group, curvature in enumerate(curvatures):
        part = slice(group * rows, (group + 1) * rows)
        alone = dataclasses.replace(levels, group=levels.group[part], scale=levels.scale[part])
        matrix = weight[part].reshape(rows, 9)
        wanted = compensate(matrix, alone, curvature)
        kept = torch.from_numpy(found.codes[part].reshape(rows, 9))[torch.from_numpy(wanted.keep)]
        assert torch.equal(kept, torch.from_numpy(wanted.codes)[torch.from_numpy(wanted.keep)])
    torch.testing.assert_close(weight, before, rtol=0, atol=0)

"""One layer fitted to the outputs it should have on the inputs it gets.

The weights it aims at are the least-squares ones for those inputs, the codebook weighs each input by its second
moment, the assignment makes up for its own errors, the bias for what is left of the mean. How far the inputs' second
moments are believed is what serves best for examples that are not among those they are of.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad.compress.calibrate.moments import Moments
from pocketvlad.compress.codes.alike import of_photos_that_differ
from pocketvlad.compress.codes.assignment import assign_nearest, make_grid
from pocketvlad.compress.codes.compensation import Curvature, compensate_grid, refit_scales
from pocketvlad.compress.codes.int8 import fast_weight, quantize_inputs_of
from pocketvlad.compress.layers import Layer
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.lut.tensor import LutTensor

# of the mean second moment, added to every input's own: least of all, and for layers whose inputs were seen too seldom
DAMPINGS = (0.01, 0.03, 0.1, 0.3, 1.0)
_SIGNS = 64  # random vectors of signs


@dataclass(frozen=True, eq=False)
class Fitted:
    """A compressed layer and its corrected bias, float32 [O] or None."""

    lut: LutTensor
    bias: np.ndarray | None


@of_photos_that_differ()
def fit_layer(layer: Layer, recipe: LayerRecipe, moments: Moments, *, fast: bool = False) -> Fitted:
    """One layer on the moments of its inputs; ``fast``: for int8 kernels. PhotoError where the photos hardly differ."""
    weight = layer.weight.detach().float()
    bias = None if layer.bias is None else layer.bias.detach().numpy()
    if recipe.calibrate == "none":
        return Fitted(assign_nearest(weight.numpy(), make_grid(weight.numpy(), recipe)), bias)
    curvature = _damped(moments.gram, chosen_damping(moments))
    target = _least_squares(weight, moments, curvature)
    importance = _rows(moments.importance, weight.shape[0])
    grid = make_grid(target.numpy(), recipe, importance.numpy())
    grid = grid.snapped() if fast else grid
    curvatures = [Curvature(each[None]) for each in curvature]
    if recipe.calibrate == "gptq":
        lut = compensate_grid(target, grid, recipe, curvatures)
    else:
        lut = refit_scales(target, assign_nearest(target.numpy(), grid), curvatures)
    return Fitted(
        lut, None if bias is None else _corrected_bias(bias, weight, used_weight(lut, fast=fast), moments)
    )


def chosen_damping(moments: Moments) -> float:
    """Of :data:`DAMPINGS` the one with which half of the examples serves the other half best."""
    if moments.halves is None:
        return DAMPINGS[0]
    best, least = DAMPINGS[-1], float("inf")
    for share in reversed(DAMPINGS):
        cost = expected_error(_damped(moments.halves[0], share), moments.halves[1])
        if cost >= least:
            break
        best, least = share, cost
    return best


def expected_error(curvature: Tensor, gram: Tensor) -> float:
    """What rounding costs where errors are made up for by one curvature, float32 [G, I, I], and cost by another.

    With ``U^T U`` the curvature's inverse and ``u`` the rows of the upper triangular U, each divided by its diagonal
    element, a rounding error of 1 in column j becomes the weight error ``u_j``, which costs ``u_j gram u_j^T``. Of many
    columns the sum is estimated with random signs. Infinite where rounding has left the curvature without an inverse.
    """
    groups, inputs, _ = curvature.shape
    lower, failed = torch.linalg.cholesky_ex(curvature.flip(1, 2))  # U is its inverse, turned round
    if bool(failed.any()):
        return float("inf")
    if inputs <= _SIGNS:
        signs = torch.eye(inputs).expand(groups, inputs, inputs)
    else:
        generator = torch.Generator().manual_seed(0)
        signs = torch.randint(2, (inputs, _SIGNS), generator=generator).mul(2.0).sub(1)
        signs = signs.expand(groups, inputs, _SIGNS)
    scaled = signs * lower.diagonal(dim1=1, dim2=2)[:, :, None]
    errors = torch.linalg.solve_triangular(lower.transpose(1, 2), scaled, upper=True).flip(1)
    total = float((errors * torch.bmm(gram, errors)).sum())
    return total if inputs <= _SIGNS else total / _SIGNS


def _damped(gram: Tensor, share: float) -> Tensor:
    """[G, I, I] with a share of its mean diagonal added: inputs that never vary must not blow up."""
    level = gram.diagonal(dim1=1, dim2=2).mean(dim=1).clamp_min(1e-12)
    return gram + share * level[:, None, None] * torch.eye(gram.shape[1])


def _least_squares(weight: Tensor, moments: Moments, curvature: Tensor) -> Tensor:
    """Weights that best give the uncompressed outputs on the compressed inputs, float32 like ``weight``."""
    rows = weight.reshape(moments.pull.shape)
    moved = rows + torch.linalg.solve(curvature, moments.pull.transpose(1, 2)).transpose(1, 2)
    return moved.reshape(weight.shape).contiguous()


def _rows(per_group: Tensor, outputs: int) -> Tensor:
    """[G, I] -> [O, I], every group's values for its output rows."""
    return per_group.repeat_interleave(outputs // per_group.shape[0], dim=0)


def _corrected_bias(bias: np.ndarray, weight: Tensor, used: Tensor, moments: Moments) -> np.ndarray:
    """The bias that keeps the mean output: ``b + W mean(z) - Wq mean(x)``, float32 [O]."""
    outputs = weight.shape[0]
    before = (weight.reshape(outputs, -1) * _rows(moments.reference_mean, outputs)).sum(dim=1)
    after = (used.reshape(outputs, -1) * _rows(moments.mean, outputs)).sum(dim=1)
    return (torch.from_numpy(bias) + before - after).numpy()


def used_weight(lut: LutTensor, *, fast: bool) -> Tensor:
    """The weight the kernels compute with, float32 of the layer's shape."""
    return torch.from_numpy(fast_weight(lut) if fast else lut.dequantize())


def stand_in(layer: Layer, fitted: Fitted, *, fast: bool, quantize_inputs: bool) -> nn.Module:
    """The layer as the kernels compute it; ``quantize_inputs``: on grids of each input's own."""
    memo = {
        id(layer.weight): nn.Parameter(used_weight(fitted.lut, fast=fast)),
        id(layer.bias): None if fitted.bias is None else nn.Parameter(torch.from_numpy(fitted.bias.copy())),
    }
    found = copy.deepcopy(layer, memo)
    if quantize_inputs:
        quantize_inputs_of(found)
    return found

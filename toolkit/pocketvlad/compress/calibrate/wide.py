"""The whitening layer on calibration photos: tens of thousands of inputs, a few hundred photos.

What an error in the weights costs on photos never seen is guessed as a mixture: the calibration vectors
themselves (low rank), and within each cluster's D values a covariance, its own mixed with the one pooled over
all clusters, since the residuals of every cluster are the same channels of the same network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad.compress.codes.assignment import assign_nearest, make_grid
from pocketvlad.compress.codes.compensation import Curvature, compensate_grid, refit_scales
from pocketvlad.compress.codes.int8 import fast_weight, quantize_input
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.lut.tensor import LutTensor

POOLED = 0.5  # share of the pooled covariance among the blocks
_DAMPING = 0.1  # share of the mean variance in what weighs the centroids


@dataclass(frozen=True)
class Trust:
    """How far the calibration vectors are believed.

    Attributes:
        low_rank: share of the vectors themselves in the curvature.
        damping: share of the mean variance, the same in all directions, in the blocks.
    """

    low_rank: float
    damping: float


USUAL = Trust(0.5, 0.1)
FEW_SURVIVORS = Trust(
    0.02, 0.7
)  # large errors to make up for: they would be fitted to the few vectors at hand
_FEW = 4  # from blocks of this length on


def fit_whitening_codes(
    layer: nn.Linear, recipe: LayerRecipe, reference: Tensor, inputs: Tensor, block: int
) -> tuple[LutTensor, np.ndarray]:
    """Compress the layer so that its outputs on ``inputs`` are the uncompressed ones on ``reference``.

    Args:
        layer: weight float32 [N, V], with a bias.
        recipe: options of the layer.
        reference, inputs: float32 [M, V], VLAD vectors of the uncompressed and the compressed model.
        block: D, values per cluster.

    Returns:
        The codes and the corrected bias, float32 [N].
    """
    weight, bias = layer.weight.detach().float(), layer.bias.detach()
    inputs = quantize_input(inputs)
    mean, reference_mean = inputs.mean(dim=0), reference.mean(dim=0)
    centred = inputs - mean
    importance = centred.square().mean(dim=0)
    grid = make_grid(weight.numpy(), recipe, (importance + importance.mean() * _DAMPING).numpy(), "whitening")
    trust = FEW_SURVIVORS if recipe.block >= _FEW else USUAL
    grid, curvature = grid.snapped(), vlad_curvature(centred, block, trust)
    if recipe.calibrate == "gptq":
        scaling = (trust.low_rank / len(centred)) ** 0.5
        residual = ((centred - (reference - reference_mean)) * scaling) @ weight.T
        lut = compensate_grid(weight, grid, recipe, [curvature], residual)
    else:
        lut = refit_scales(weight, assign_nearest(weight.numpy(), grid), [curvature])
    used = torch.from_numpy(fast_weight(lut))
    return lut, (bias + weight @ reference_mean - used @ mean).numpy()


def vlad_curvature(centred: Tensor, block: int, trust: Trust = USUAL) -> Curvature:
    """The mixture described above, from centred VLAD vectors float32 [M, K * D]."""
    count, size = centred.shape
    parts = centred.reshape(count, size // block, block)
    own = torch.stack([parts[:, k].T @ parts[:, k] for k in range(size // block)]) / count
    energy = own.diagonal(dim1=1, dim2=2).mean(dim=1)
    floor = energy.mean() * 1e-3  # a cluster no calibration photo sees still costs something
    energy = energy.clamp_min(floor)[:, None, None]
    pooled = own.mean(dim=0)
    pooled = pooled / pooled.diagonal().mean()
    blocks = (1 - POOLED) * own + POOLED * energy * pooled
    blocks = (1 - trust.damping) * blocks + trust.damping * energy * torch.eye(block)
    return Curvature((1 - trust.low_rank) * blocks, centred * (trust.low_rank / count) ** 0.5)

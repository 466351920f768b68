"""A wide matrix that multiplies one row for each photo: tens of thousands of inputs, a few hundred photos.

What an error in the weights costs on photos never seen is guessed as a mixture: the calibration vectors
themselves (low rank), and within each block of values a covariance, its own mixed with the one pooled over
all blocks: NetVLAD's clusters hold the same channels of the same network each.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad.compress.codes.alike import of_photos_that_differ
from pocketvlad.compress.codes.assignment import assign_nearest, make_grid
from pocketvlad.compress.codes.compensation import Curvature, compensate_grid, refit_scales
from pocketvlad.compress.codes.int8 import fast_weight, quantize_input
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.lut.tensor import LutTensor

_EVEN = 0.1  # share of the mean variance in what weighs the centroids
# Shares of the curvature. Chosen on EfficientNet-Lite0 with a third, one of 4 and one of 8 weights left at 2 bits,
# where photos indoors calibrate for photos outdoors, the other way round, and two thirds of either kind for the rest
# of it. With 0.5 and 0.1 the coarser two come out a fifth to a half further off; with a low rank of 0.02 they are
# nearer within a kind and further off from one kind to the other.
LOW_RANK = 0.2  # of the vectors themselves
DAMPING = 0.8  # of the mean variance, the same in all directions, in the blocks
POOLED = 0.5  # of the pooled covariance among the blocks, the rest is each block's own
_LARGEST_BLOCK = 512


@of_photos_that_differ()
def fit_wide(
    layer: nn.Linear,
    recipe: LayerRecipe,
    reference: Tensor,
    inputs: Tensor,
    block: int,
    name: str = "layer",
) -> tuple[LutTensor, np.ndarray | None]:
    """Compress the layer so that its outputs on ``inputs`` are the uncompressed ones on ``reference``.

    Args:
        layer: weight float32 [N, V], with a bias.
        recipe: options of the layer.
        reference, inputs: float32 [M, V], what it reads in the uncompressed and the compressed network.
        block: values that have statistics of their own (D of NetVLAD's clusters); 0: none do.
        name: for errors.

    Returns:
        The codes and the corrected bias, float32 [N], where it has one.

    Raises:
        PhotoError: the photos hardly differ.
    """
    weight = layer.weight.detach().float()
    inputs = quantize_input(inputs)
    mean, reference_mean = inputs.mean(dim=0), reference.mean(dim=0)
    centred = inputs - mean
    importance = centred.square().mean(dim=0)
    grid = make_grid(weight.numpy(), recipe, (importance + importance.mean() * _EVEN).numpy(), name)
    size = block_of(inputs.shape[1], block, recipe.block or 1)
    grid, curvature = grid.snapped(), wide_curvature(centred, size)
    if recipe.calibrate == "gptq":
        scaling = (LOW_RANK / len(centred)) ** 0.5
        residual = ((centred - (reference - reference_mean)) * scaling) @ weight.T
        lut = compensate_grid(weight, grid, recipe, [curvature], residual)
    else:
        lut = refit_scales(weight, assign_nearest(weight.numpy(), grid), [curvature])
    used = torch.from_numpy(fast_weight(lut))
    if layer.bias is None:
        return lut, None
    return lut, (layer.bias.detach() + weight @ reference_mean - used @ mean).numpy()


def block_of(columns: int, asked: int, multiple: int = 1) -> int:
    """Values per block: what the head asks where it divides ``columns``, else their largest divisor up to 512.

    No block ends inside one of the ``multiple`` weights of which a recipe keeps one.
    """
    if asked and columns % asked == 0 and asked % multiple == 0:
        return asked
    sizes = (size for size in range(min(columns, _LARGEST_BLOCK), 0, -1) if columns % size == 0)
    return next((size for size in sizes if size % multiple == 0), columns)


def wide_curvature(centred: Tensor, block: int) -> Curvature:
    """The mixture described above, from centred inputs float32 [M, V]."""
    count, size = centred.shape
    parts = centred.reshape(count, size // block, block)
    own = torch.stack([parts[:, k].T @ parts[:, k] for k in range(size // block)]) / count
    energy = own.diagonal(dim1=1, dim2=2).mean(dim=1)
    floor = energy.mean() * 1e-3  # a cluster no calibration photo sees still costs something
    energy = energy.clamp_min(floor)[:, None, None]
    pooled = own.mean(dim=0)
    pooled = pooled / pooled.diagonal().mean()
    blocks = (1 - POOLED) * own + POOLED * energy * pooled
    blocks = (1 - DAMPING) * blocks + DAMPING * energy * torch.eye(block)
    return Curvature((1 - LOW_RANK) * blocks, centred * (LOW_RANK / count) ** 0.5)

"""A wide matrix that multiplies one row for each photo: tens of thousands of inputs, a few hundred photos.

What an error in the weights costs on photos never seen is guessed as a mixture: the calibration vectors
themselves (low rank), and within each block of values a covariance, its own mixed with the one pooled over
all blocks: NetVLAD's clusters hold the same channels of the same network each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad.compress.codes.alike import of_photos_that_differ
from pocketvlad.compress.codes.assignment import assign_nearest, make_grid
from pocketvlad.compress.codes.compensation import Curvature, compensate_grid, refit_scales
from pocketvlad.compress.codes.int8 import fast_weight, quantize_input
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.lut.tensor import LutTensor

_DAMPING = 0.1  # share of the mean variance in what weighs the centroids


@dataclass(frozen=True)
class Trust:
    """How far the calibration vectors are believed.

    Attributes:
        low_rank: share of the vectors themselves in the curvature.
        damping: share of the mean variance, the same in all directions, in the blocks.
        pooled: share of the pooled covariance among the blocks, the rest is each block's own.
    """

    low_rank: float
    damping: float
    pooled: float = 0.5


# Chosen by errors of descriptors, EfficientNet-Lite0's and SqueezeNet 1.1's, where photos indoors calibrate for photos
# outdoors and the other way round; 16 or 32 rows of the whitening. With (0.5, 0.1) a third of the weights at 2 bits
# leaves 10 to 27% more in EfficientNet-Lite0 than with 0.1 to 0.5 and 0.7 or 0.8.
USUAL = Trust(0.2, 0.8)
# Large errors would be made up for by what the few vectors at hand happen to share: with the usual trust one of 2 at
# 1 bit leaves a third more in SqueezeNet, in EfficientNet-Lite0 as much or 4% less.
SOME_SURVIVORS = Trust(0.05, 0.8)
# One of 8 at 2 bits: with the usual trust 11 and 62% more in SqueezeNet, which is what such few are for; about 10 and
# 40% less in EfficientNet-Lite0.
FEW_SURVIVORS = Trust(0.001, 0.9, 1.0)
_LARGEST_BLOCK = 512
_SOME, _FEW = 2, 8  # from blocks of this length on


@of_photos_that_differ()
def fit_wide(
    layer: nn.Linear,
    recipe: LayerRecipe,
    reference: Tensor,
    inputs: Tensor,
    block: int,
    name: str = "layer",
) -> tuple[LutTensor, np.ndarray | None]:
    """Compress the layer so that its outputs change least on what it reads.

    What the layers before have lost is made up for in the mean alone: made up for photo by photo it helped those alone.

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
    grid = make_grid(weight.numpy(), recipe, (importance + importance.mean() * _DAMPING).numpy(), name)
    trust = _trust_of(recipe)
    if not block:  # blocks that are none of the head's have less in common
        trust = replace(trust, pooled=USUAL.pooled)
    size = block_of(inputs.shape[1], block, recipe.block or 1)
    grid, curvature = grid.snapped(), wide_curvature(centred, size, trust)
    if recipe.calibrate == "gptq":
        lut = compensate_grid(weight, grid, recipe, [curvature])
    else:
        lut = refit_scales(weight, assign_nearest(weight.numpy(), grid), [curvature])
    used = torch.from_numpy(fast_weight(lut))
    if layer.bias is None:
        return lut, None
    return lut, (layer.bias.detach() + weight @ reference_mean - used @ mean).numpy()


def _trust_of(recipe: LayerRecipe) -> Trust:
    if recipe.block >= _FEW:
        return FEW_SURVIVORS
    return SOME_SURVIVORS if recipe.block >= _SOME else USUAL


def block_of(columns: int, asked: int, multiple: int = 1) -> int:
    """Values per block: what the head asks where it divides ``columns``, else their largest divisor up to 512.

    No block ends inside one of the ``multiple`` weights of which a recipe keeps one.
    """
    if asked and columns % asked == 0 and asked % multiple == 0:
        return asked
    sizes = (size for size in range(min(columns, _LARGEST_BLOCK), 0, -1) if columns % size == 0)
    return next((size for size in sizes if size % multiple == 0), columns)


def wide_curvature(centred: Tensor, block: int, trust: Trust = USUAL) -> Curvature:
    """The mixture described above, from centred inputs float32 [M, V]."""
    count, size = centred.shape
    parts = centred.reshape(count, size // block, block)
    own = torch.stack([parts[:, k].T @ parts[:, k] for k in range(size // block)]) / count
    energy = own.diagonal(dim1=1, dim2=2).mean(dim=1)
    floor = energy.mean() * 1e-3  # a cluster no calibration photo sees still costs something
    energy = energy.clamp_min(floor)[:, None, None]
    pooled = own.mean(dim=0)
    pooled = pooled / pooled.diagonal().mean()
    blocks = (1 - trust.pooled) * own + trust.pooled * energy * pooled
    blocks = (1 - trust.damping) * blocks + trust.damping * energy * torch.eye(block)
    return Curvature((1 - trust.low_rank) * blocks, centred * (trust.low_rank / count) ** 0.5)

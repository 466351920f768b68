"""Post-training compression that looks at the layers' real inputs on calibration photos.

Every layer is fitted to the uncompressed model's outputs, on the inputs it gets from the compressed layers
before it, int8 activations included where the program will have them (in a backbone that XNNPACK computes on
the grids they will have, which are fitted on the way): the weights it aims at are the
least-squares ones for those inputs, the codebook weighs each input by its second moment, the assignment makes
up for its own errors, the bias for what is left of the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad.compress.calibrate.activations import ActivationGrid, GridFitter
from pocketvlad.compress.calibrate.arithmetic import int8_layers
from pocketvlad.compress.calibrate.int8_backbone import int8_backbone
from pocketvlad.compress.calibrate.moments import LOCATIONS, Moments, MomentSum
from pocketvlad.compress.calibrate.views import views_per_photo, vlad_pairs
from pocketvlad.compress.calibrate.walk import photo_limit, walk_backbone
from pocketvlad.compress.calibrate.wide import fit_whitening_codes
from pocketvlad.compress.codes.assignment import assign_nearest, make_grid
from pocketvlad.compress.codes.compensation import Curvature, compensate_grid, refit_scales
from pocketvlad.compress.codes.int8 import fast_weight, quantize_inputs_of
from pocketvlad.compress.compressed import CompressedModel, quantize_centroids
from pocketvlad.compress.recipe import LayerRecipe, Recipe
from pocketvlad.compress.roles import role_of
from pocketvlad.errors import RecipeError
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.netvlad import NetVlad, PlaceModel, unit_length

Progress = Callable[[int, int], None]
_BACKBONE, _ASSIGNMENT = "backbone.", "pool.assignment"
_DAMPING = 0.01  # of the mean second moment, added to every input's own


@dataclass(frozen=True, eq=False)
class Fitted:
    """A compressed layer and its corrected bias, float32 [O] or None."""

    lut: LutTensor
    bias: np.ndarray | None


def compress_calibrated(
    model: PlaceModel, recipe: Recipe, photos: Tensor, *, progress: Progress | None = None
) -> CompressedModel:
    """Compress every layer by the recipe, in the order they run; arguments as ``compress_model``."""
    if len(photos) == 0:
        raise RecipeError(f"recipe {recipe.name} calibrates on photos", found="none")
    int8 = _int8_layers(model, recipe, photos)
    fitter = GridFitter(model.backbone) if recipe.int8_backbone else None
    steps = _Steps(progress, _work(model, photos))
    fitted: dict[str, Fitted] = {}

    def replace(name: str, conv: nn.Conv2d, moments: Moments) -> nn.Conv2d:
        layer = f"{_BACKBONE}{name}"
        fast = layer in int8
        fitted[layer] = found = fit_conv(conv, recipe.for_layer(layer, role_of(layer)), moments, fast=fast)
        steps.done()
        return _compressed_conv(conv, found, fast=fast, quantize_inputs=fast and fitter is None)

    with torch.no_grad():
        chosen = photos[:: max(1, -(-len(photos) // photo_limit(model.backbone, photos[:1])))]
        compressed = nn.Module()
        if fitter is None:
            compressed.backbone = walk_backbone(model.backbone, chosen, replace)
        else:
            walk_backbone(model.backbone, chosen, replace, observe=fitter)
            compressed.backbone = _int8_backbone(model, fitted, fitter.grids)
        moments = feature_moments(model.backbone, compressed.backbone, chosen, model.config.channels)
        fast = _ASSIGNMENT in int8
        fitted[_ASSIGNMENT] = fit_conv(
            model.pool.assignment, recipe.for_layer(_ASSIGNMENT, role_of(_ASSIGNMENT)), moments, fast=fast
        )
        steps.done()
        centroids, scale = quantize_centroids(model.pool.centroids.numpy())
        assignment = fitted[_ASSIGNMENT]
        compressed.pool = _compressed_pool(model.pool, assignment, centroids, scale, fast=fast)
        if model.whitening is not None:
            reference, inputs = vlad_pairs(model, compressed, photos, steps.done)
            options = recipe.for_layer("whitening", role_of("whitening"))
            channels = model.config.channels
            found = fit_whitening_codes(model.whitening, options, reference, inputs, channels)
            fitted["whitening"] = Fitted(*found)
            steps.done()
    biases = {name: f.bias for name, f in fitted.items() if f.bias is not None}
    layers = {name: f.lut for name, f in fitted.items()}
    grids = {} if fitter is None else fitter.grids
    return CompressedModel(
        model.config,
        layers,
        biases,
        centroids,
        scale,
        recipe=asdict(recipe),
        int8=int8,
        activations=grids,
    )


def _int8_layers(model: PlaceModel, recipe: Recipe, photos: Tensor) -> frozenset[str]:
    """Convolutions, soft assignment included, that compute in int8; for XNNPACK all of the backbone must."""
    every = frozenset(name for name, m in model.named_modules() if isinstance(m, nn.Conv2d))
    if recipe.semantics == "fast":
        return every
    if not recipe.int8_backbone:
        return int8_layers(model, photos, recipe.int8_loss)
    assignment = int8_layers(model, photos, recipe.int8_loss, _ASSIGNMENT)
    return every - {_ASSIGNMENT} | assignment


def _int8_backbone(
    model: PlaceModel, fitted: dict[str, Fitted], grids: dict[str, ActivationGrid]
) -> nn.Module:
    inside = {
        name.removeprefix(_BACKBONE): each for name, each in fitted.items() if name.startswith(_BACKBONE)
    }
    biases = {name: each.bias for name, each in inside.items() if each.bias is not None}
    return int8_backbone(model.backbone, {name: each.lut for name, each in inside.items()}, biases, grids)


def _work(model: PlaceModel, photos: Tensor) -> int:
    """Steps of progress: a layer or a view each."""
    layers = sum(1 for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear)))
    return layers if model.whitening is None else layers + len(photos) * views_per_photo(len(photos))


class _Steps:
    def __init__(self, progress: Progress | None, total: int):
        self._progress, self._total, self._count = progress, total, 0

    def done(self) -> None:
        self._count += 1
        if self._progress is not None:
            self._progress(self._count, self._total)


def fit_conv(conv: nn.Conv2d, recipe: LayerRecipe, moments: Moments, *, fast: bool = False) -> Fitted:
    """One convolution (or the soft assignment) on the moments of its inputs; ``fast``: for int8 kernels."""
    weight = conv.weight.detach().float()
    bias = None if conv.bias is None else conv.bias.detach().numpy()
    if recipe.calibrate == "none":
        return Fitted(assign_nearest(weight.numpy(), make_grid(weight.numpy(), recipe)), bias)
    curvature = _damped(moments.gram)
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


def _damped(gram: Tensor) -> Tensor:
    """[G, I, I] with a share of its mean diagonal added: inputs that never vary must not blow up."""
    level = gram.diagonal(dim1=1, dim2=2).mean(dim=1).clamp_min(1e-12)
    return gram + _DAMPING * level[:, None, None] * torch.eye(gram.shape[1])


def _least_squares(weight: Tensor, moments: Moments, curvature: Tensor) -> Tensor:
    """Weights that best give the uncompressed outputs on the compressed inputs, float32 like ``weight``."""
    groups = moments.gram.shape[0]
    rows = weight.reshape(groups, weight.shape[0] // groups, -1)
    pull = rows @ (moments.cross - moments.gram)
    moved = rows + torch.linalg.solve(curvature, pull.transpose(1, 2)).transpose(1, 2)
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


def _compressed_conv(conv: nn.Conv2d, fitted: Fitted, *, fast: bool, quantize_inputs: bool) -> nn.Conv2d:
    """The convolution as the kernels compute it; ``quantize_inputs``: on grids of each photo's own."""
    found = nn.utils.skip_init(
        nn.Conv2d,
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=conv.groups,
        bias=fitted.bias is not None,
    )
    found.weight.copy_(used_weight(fitted.lut, fast=fast))
    if fitted.bias is not None:
        found.bias.copy_(torch.from_numpy(fitted.bias))
    if quantize_inputs:
        quantize_inputs_of(found)
    return found


def _compressed_pool(
    pool: NetVlad, fitted: Fitted, centroids: np.ndarray, scale: np.ndarray, *, fast: bool
) -> NetVlad:
    clusters, channels = centroids.shape
    found = NetVlad(clusters, channels, bias=fitted.bias is not None)
    found.assignment = _compressed_conv(pool.assignment, fitted, fast=fast, quantize_inputs=fast)
    found.centroids.copy_(torch.from_numpy(centroids * scale[:, None]))
    return found


def feature_moments(reference: nn.Module, compressed: nn.Module, photos: Tensor, channels: int) -> Moments:
    """Moments of the unit local features, the soft assignment's inputs."""
    total = MomentSum(1, channels)
    generator = torch.Generator().manual_seed(0)
    for photo in photos:
        features = [unit_length(backbone(photo[None])) for backbone in (reference, compressed)]
        count = features[0].shape[2] * features[0].shape[3]
        chosen = torch.randperm(count, generator=generator)[: -(-LOCATIONS // len(photos))]
        z, x = (f.flatten(2)[:, :, chosen].transpose(1, 2) for f in features)
        total.add(x, z)
    return total.moments()

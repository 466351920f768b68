"""Compression without training: prune, make codebooks, assign, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import numpy as np
from torch import Tensor, nn

from pocketvlad.compress.calibrate.calibrated import compress_calibrated
from pocketvlad.compress.codes.assignment import quantize_layer
from pocketvlad.compress.compressed import CompressedModel, quantize_centroids
from pocketvlad.compress.descriptors import wanted_descriptors
from pocketvlad.compress.recipe import Recipe, load_recipe
from pocketvlad.compress.roles import role_of
from pocketvlad.errors import RecipeError
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.netvlad import PlaceModel

Progress = Callable[[int, int], None]


def compressible_layers(model: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    """Every convolution, the soft assignment and the whitening by module name, in the order they run."""
    return {name: m for name, m in model.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))}


def compress_model(
    model: PlaceModel,
    recipe: Recipe,
    *,
    calibration: Tensor | None = None,
    progress: Progress | None = None,
) -> CompressedModel:
    """Compress every layer by the recipe, its ``train`` table apart.

    Args:
        model: the uncompressed model; left as it is.
        recipe: options per layer, and what descriptors it wants.
        calibration: float32 [N, 3, H, W], preprocessed photos, for recipes that look at the layers' inputs.
        progress: called with steps done and steps in all.

    Returns:
        The compressed model; its ``recipe`` is the one used, which without photos may be the recipe's
        ``without_photos``.

    Raises:
        RecipeError: the recipe needs photos and there are none, drops dimensions of no PCA whitening, or wants a
            backbone in int8 that is not in 8-bit codes.
    """
    if recipe.needs_photos and calibration is None:
        if recipe.without_photos is None:
            raise RecipeError(f"recipe {recipe.name} calibrates on photos", do="add --photos KIND:PATH")
        return compress_model(model, load_recipe(recipe.without_photos), progress=progress)
    _require_whole_bytes(model, recipe)
    model = wanted_descriptors(model, recipe)
    if recipe.needs_photos and calibration is not None:
        return compress_calibrated(model, recipe, calibration, progress=progress)
    return compress_weights(model, recipe, progress=progress)


def _require_whole_bytes(model: PlaceModel, recipe: Recipe) -> None:
    """An int8 backbone holds a byte for every weight; fewer bits or absent weights would promise a smaller file."""
    convolutions = [
        n for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and n.startswith("backbone.")
    ]
    for name in convolutions if recipe.int8_backbone else ():
        layer = recipe.for_layer(name, role_of(name))
        pruned = bool(layer.threshold or layer.sparsity)
        if layer.bits != 8 or layer.layout == "sparse" or (pruned and layer.layout == "auto"):
            raise RecipeError(
                f"recipe {recipe.name} has convolutions = {recipe.convolutions!r}, which store whole bytes",
                found=f"{name} with bits = {layer.bits}, layout = {layer.layout!r}",
                allowed="bits = 8 and, where weights are pruned, layout = 'dense'",
            )


def compress_weights(
    model: PlaceModel, recipe: Recipe, *, progress: Progress | None = None
) -> CompressedModel:
    """Compress every layer by its weights alone; arguments as :func:`compress_model`."""
    layers, biases = compress_layers(model, recipe, progress=progress)
    centroids, scale = quantize_centroids(np.asarray(model.pool.centroids.detach().cpu()))
    return CompressedModel(model.config, layers, biases, centroids, scale, recipe=asdict(recipe))


def compress_layers(
    model: nn.Module, recipe: Recipe, *, progress: Progress | None = None
) -> tuple[dict[str, LutTensor], dict[str, np.ndarray]]:
    """Every convolution and linear layer of any network by its weights alone, and their biases float32 [O]."""
    modules = compressible_layers(model)
    total = sum(module.weight.numel() for module in modules.values())
    layers, biases, done = {}, {}, 0
    for name, module in modules.items():
        weight = module.weight.detach().cpu().numpy()
        layers[name] = quantize_layer(weight, recipe.for_layer(name, role_of(name)), name=name)
        if module.bias is not None:
            biases[name] = module.bias.detach().cpu().numpy().copy()
        done += weight.size
        if progress is not None:
            progress(done, total)
    return layers, biases

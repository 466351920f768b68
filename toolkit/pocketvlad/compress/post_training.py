"""Compression without training: prune, make codebooks, assign, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad.compress.calibrate.calibrated import compress_calibrated, quantized_constants
from pocketvlad.compress.calibrate.noise import NoiseCosts, noise_costs
from pocketvlad.compress.calibrate.walk import Inputs
from pocketvlad.compress.codes.assignment import quantize_layer
from pocketvlad.compress.compressed import Compressed, skeleton_of
from pocketvlad.compress.layers import Layer, compressible_layers, layers_left, vector_layers
from pocketvlad.compress.ratio import with_promise
from pocketvlad.compress.recipe import LUT, LUT_INT8, Recipe, load_recipe
from pocketvlad.compress.whitened import wanted_descriptors
from pocketvlad.errors import RecipeError
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.network import Network
from pocketvlad.progress import Progress, Steps
from pocketvlad.threads import one_thread


@one_thread()
def compress_network(
    network: nn.Module,
    recipe: Recipe,
    *,
    calibration: Tensor | Sequence[tuple[Tensor, ...]] | None = None,
    example: Sequence[Tensor] | None = None,
    kept: Path | None = None,
    progress: Progress | None = None,
) -> Compressed:
    """Compress every layer by the recipe, its ``train`` table apart.

    Args:
        network: the uncompressed network, or a graph of :func:`pocketvlad.compress.graph.as_graph`; left as it is.
        recipe: options per layer, and what descriptors it wants.
        calibration: inputs for recipes that look at the layers' inputs: float32 [N, 3, H, W], preprocessed photos, or a
            tuple of arguments for each example.
        example: one input, a batch of 1, where there is no calibration and the network is not one of ours.
        kept: folder of finished layers, which a calibration that was stopped goes on from; None: nothing is kept.
        progress: called with steps done and steps in all.

    Returns:
        The compressed network; its ``recipe`` is the one used, which without photos may be the recipe's
        ``without_photos``.

    Raises:
        RecipeError: the recipe needs photos and there are none, drops dimensions of no PCA whitening, or wants a
            backbone in int8 that is not in 8-bit codes.
    """
    if recipe.needs_photos and calibration is None:
        if recipe.without_photos is None:
            raise RecipeError(f"recipe {recipe.name} calibrates on photos", do="give it some")
        return compress_network(
            network, load_recipe(recipe.without_photos), example=example, progress=progress
        )
    _require_whole_bytes(network, recipe)
    if isinstance(network, Network):
        network = wanted_descriptors(network, recipe)
    measure: Callable[[], NoiseCosts] = NoiseCosts
    if calibration is not None:
        measure = partial(noise_costs, network, as_inputs(calibration))
    recipe = with_promise(network, recipe, measure)
    if recipe.needs_photos and calibration is not None:
        return compress_calibrated(network, recipe, as_inputs(calibration), kept=kept, progress=progress)
    if example is None and calibration is not None:
        example = as_inputs(calibration)[0]
    return compress_weights(network, recipe, example=example, progress=progress)


def as_inputs(calibration: Tensor | Sequence[tuple[Tensor, ...]]) -> Inputs:
    """One tuple of arguments, a batch of 1, for each example."""
    if isinstance(calibration, Tensor):
        return [(each[None],) for each in calibration]
    return [tuple(each) for each in calibration]


def _require_whole_bytes(network: nn.Module, recipe: Recipe) -> None:
    """XNNPACK's int8 backbone holds a byte for every weight; less would promise a smaller file."""
    if recipe.convolutions in (LUT, LUT_INT8):
        return
    if not isinstance(network, Network):
        raise RecipeError(f"recipe {recipe.name} computes a backbone in int8", found="a module without one")
    prefix, roles = network.parts()[0][0], network.roles()
    for name in roles:
        layer = recipe.for_layer(name, roles[name])
        pruned = bool(layer.threshold or layer.sparsity)
        whole = layer.bits == 8 and layer.layout != "sparse" and not (pruned and layer.layout == "auto")
        if name.startswith(prefix) and not whole:
            raise RecipeError(
                f"recipe {recipe.name} has convolutions = {recipe.convolutions!r}, which store whole bytes",
                found=f"{name} with bits = {layer.bits}, layout = {layer.layout!r}",
                allowed="bits = 8 and, where weights are pruned, layout = 'dense'",
            )


def compress_weights(
    network: nn.Module,
    recipe: Recipe,
    *,
    example: Sequence[Tensor] | None = None,
    progress: Progress | None = None,
) -> Compressed:
    """Compress every layer by its weights alone; arguments as :func:`compress_network`."""
    roles = network.roles() if isinstance(network, Network) else {}
    modules, constants = compressible_layers(network), quantized_constants(network)
    layers, biases = _quantized(modules, roles, recipe, progress)
    inputs = example_of(network) if example is None else example
    vectors = frozenset[str]() if inputs is None else vector_layers(network, inputs)
    return Compressed(
        skeleton_of(network, layers, constants),
        layers,
        biases,
        constants,
        recipe,
        int8=vectors,
        left=layers_left(network),
    )


def example_of(network: nn.Module) -> tuple[Tensor, ...] | None:
    """An input of one of our networks, without values; None of any other."""
    if not isinstance(network, Network):
        return None
    preprocess = network.config.preprocess
    return (torch.empty(1, 3, preprocess.height, preprocess.width, device="meta"),)


def _quantized(
    modules: dict[str, Layer], roles: dict[str, str], recipe: Recipe, progress: Progress | None
) -> tuple[dict[str, LutTensor], dict[str, np.ndarray]]:
    layers, biases, steps = {}, {}, Steps(progress, len(modules))
    for name, module in modules.items():
        weight = module.weight.detach().cpu().numpy()
        layers[name] = quantize_layer(weight, recipe.for_layer(name, roles.get(name, "")), name=name)
        if module.bias is not None:
            biases[name] = module.bias.detach().cpu().numpy().copy()
        steps.done()
    return layers, biases

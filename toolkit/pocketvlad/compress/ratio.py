"""A recipe's promise kept for every model: where its rules alone give too many bytes, layers get fewer bits.

The rules of the compact recipes are made for models that are mostly a whitening layer. In others (all convolution, a
transformer) the bytes go where they spare most: from every layer at its fewest bits, the step comes next that takes
most off the error per byte. An error is what a layer's weights lose (4 times less with each bit) by what noise in that
layer costs (:mod:`pocketvlad.compress.calibrate.noise`). Where there is nothing to measure that on, the cost is guessed
as the square root of the weights' number, so that a layer of a 16th of the weights gets one bit more (were it the same
for all, a quarter would; but the large layers of a network are where most of the features come from); of a wide last
layer it is that of the largest other one. What a wide last layer loses is measured on what it reads: at one of eight
weights of a PCA whitening an error that costs ten times as much as noise of its size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from pocketvlad.compress.calibrate.noise import NoiseCosts
from pocketvlad.compress.codes.assignment import choose_layout, quantize_layer
from pocketvlad.compress.layers import Layer, compressible_layers
from pocketvlad.compress.recipe import LayerRecipe, LayerRule, Recipe
from pocketvlad.lut.layouts.base import packed_rows
from pocketvlad.model.network import Network
from pocketvlad.model.roles import PROJECTION

FEWEST_BITS = 2  # of a layer that is no projection: at 1 a convolution says little more than its signs
_CODEBOOKS, _FEWEST_ROWS = 64, 16
_ABOVE_BOUND = 2.4  # times 4^-bits: what the best levels leave of Gaussian weights (Lloyd-Max)
_SAMPLE_ROWS = 64  # of a layer, whose settings are compared on them
_BYTES = 4  # of float32


@dataclass(frozen=True)
class Rung:
    """Options of a layer, the bytes they take, and the error they leave: that of noise, squared, over the weights'."""

    options: LayerRecipe
    bytes: int
    error: float


def _sparse(bits: int, sparsity: float) -> LayerRecipe:
    return LayerRecipe(bits, sparsity=sparsity, layout="sparse", row_scale="soft", calibrate="gptq")


def _blocks(block: int, bits: int) -> LayerRecipe:
    return LayerRecipe(bits, block=block, row_scale="soft", calibrate="gptq")


# shares that are pruned, by the bits of the rest
_PRUNED = {4: (0.32,), 3: (0.3, 0.55), 2: (0.4, 0.5, 0.6, 0.66), 1: (0.5, 0.66)}
# settings of a wide last layer, finest first
PROJECTIONS = (
    *(LayerRecipe(bits, row_scale="soft", calibrate="gptq") for bits in (8, 6, 5)),
    *(_sparse(bits, share) for bits, shares in _PRUNED.items() for share in shares),
    *(_blocks(*setting) for setting in ((2, 1), (4, 1), (8, 2), (8, 1), (16, 2), (16, 1))),
)
_DENSE = tuple(LayerRecipe(bits, row_scale="soft", calibrate="gptq") for bits in (7, 4, 3, 2, 1))


def layer_bytes(module: Layer, options: LayerRecipe) -> int:
    """Bytes of one compressed layer with its bias; the rows of a sparse layer are taken as equally dense."""
    shape = tuple(module.weight.shape)
    lines, length = packed_rows(shape)
    kept = np.full(lines, round(length * (1 - options.sparsity)))
    packed = choose_layout(shape, options, kept).packed_bytes(shape, options.bits, kept)
    codebooks = -(-shape[0] // (options.rows_per_codebook or shape[0]))
    per_row = (options.row_scale != "none") + (module.bias is not None)
    return packed + 4 * (codebooks << options.bits) + 4 * shape[0] * per_row


def with_promise(
    network: nn.Module, recipe: Recipe, measure: Callable[[], NoiseCosts] = NoiseCosts
) -> Recipe:
    """The recipe, with rules that keep its :attr:`Recipe.ratio` for this network where its own do not.

    Convolutions keep two bits at least and other layers one and a half, so that a network without a wide layer may not
    reach a very small ratio.

    Args:
        network: uncompressed.
        recipe: the recipe.
        measure: finds what errors in each layer cost, if it is needed.
    """
    layers = compressible_layers(network)
    roles = network.roles() if isinstance(network, Network) else {}
    said = {name: recipe.for_layer(name, roles.get(name, "")) for name in layers}
    if not recipe.ratio or not layers:
        return recipe
    limit = _float_bytes(layers) / recipe.ratio
    if sum(layer_bytes(module, said[name]) for name, module in layers.items()) <= limit:
        return recipe
    wide = frozenset(name for name in layers if roles.get(name) == PROJECTION)
    largest = max(layers, key=lambda each: layers[each].weight.numel())
    known = measure()
    ladders = {
        name: _projections(module, said[name], known.inputs.get(name), lowest=name == largest)
        if name in wide
        else _dense(module, said[name])
        for name, module in layers.items()
    }
    weighed = known.costs or _costs_of({name: module.weight.numel() for name, module in layers.items()}, wide)
    chosen = _filled(ladders, weighed, limit)
    rules = tuple(
        LayerRule(match=name, **vars(options)) for name, options in chosen.items() if options != said[name]
    )
    return dataclasses.replace(recipe, rule=(*recipe.rule, *rules))


def _dense(layer: Layer, said: LayerRecipe) -> tuple[Rung, ...]:
    """Bit by bit less; where that is not enough one codebook and nothing else, since scales of rows take bytes too.

    Of a matrix last one of every two weights: outliers, which transformers have, do not bear a row without its scale (a
    sentence encoder at 2 bits, all layers without scales: centred cosine .49).
    """
    rungs = [_at(layer, said, bits) for bits in range(said.bits, min(said.bits, FEWEST_BITS) - 1, -1)]
    errors = [_ABOVE_BOUND * 4.0**-options.bits for options in rungs]
    last, rows = rungs[-1], _sample(layer)
    below = [dataclasses.replace(last, row_scale="none", rows_per_codebook=0)]
    if isinstance(layer, nn.Linear) and not (said.threshold or said.sparsity or said.block):
        below.append(dataclasses.replace(last, block=2, rows_per_codebook=0, layout="auto"))
    for options in below:
        if layer_bytes(layer, options) < layer_bytes(layer, rungs[-1]):
            worse = _lost(rows, options) / max(_lost(rows, last), 1e-30)
            errors.append(_ABOVE_BOUND * 4.0**-last.bits * max(worse, 1.0))
            rungs.append(options)
    return tuple(
        Rung(options, layer_bytes(layer, options), error)
        for options, error in zip(rungs, errors, strict=True)
    )


def _sample(layer: Layer) -> np.ndarray:
    """Some of a layer's rows, float32 [rows, I]."""
    return layer.weight.detach().flatten(1)[:: max(1, len(layer.weight) // _SAMPLE_ROWS)].numpy()


def _lost(rows: np.ndarray, options: LayerRecipe, inputs: Tensor | None = None) -> float:
    """Squared error of rows compressed by their weights alone, relative to their squares.

    With inputs, float32 [M, I], that of noise which changes the outputs as much.
    """
    error = quantize_layer(rows, options, name="sample").dequantize() - rows
    squares = max(float((rows**2).sum()), 1e-30)
    if inputs is None:
        return float((error**2).sum()) / squares
    read = inputs.numpy()
    changed, noisy = float(((error @ read.T) ** 2).sum()), float((read**2).mean(axis=1).sum())
    return changed / max(squares * noisy, 1e-30)


def _at(layer: Layer, said: LayerRecipe, bits: int) -> LayerRecipe:
    """A layer's options at fewer bits.

    Evenly spaced centroids no longer do, nor is one to spare for exactly 0; few centroids serve few rows each, as many
    as keep the codebooks at a :data:`_CODEBOOKS`-th of the codes. Rows stay divided by their largest weight: a trained
    transformer has outliers in them, which a root mean square leaves far outside (a sentence encoder at 3 bits: centred
    cosine .91 instead of .84, with a codebook for every 32 rows .92).
    """
    if bits == said.bits:
        return said
    rows, inputs = layer.weight.shape[0], layer.weight[0].numel()
    shared = -(-(32 << bits) * _CODEBOOKS // (inputs * bits))
    return dataclasses.replace(
        said,
        bits=bits,
        codebook="kmeans",
        pin_zero=False,
        rows_per_codebook=0 if shared >= rows else max(shared, _FEWEST_ROWS),
    )


def _costs_of(weights: Mapping[str, int], wide: frozenset[str]) -> dict[str, float]:
    """Of noise, guessed from the numbers of weights; ``wide``: the projections."""
    most = max((count for name, count in weights.items() if name not in wide), default=1)
    return {name: min(count, most) ** 0.5 if name in wide else count**0.5 for name, count in weights.items()}


def _filled(
    ladders: Mapping[str, Sequence[Rung]], costs: Mapping[str, float], limit: float
) -> dict[str, LayerRecipe]:
    """Each layer's options: up from the lowest rungs, the step first that spares most error per byte."""
    at = {name: len(ladder) - 1 for name, ladder in ladders.items()}
    spare = limit - sum(ladder[-1].bytes for ladder in ladders.values())
    while steps := list(_steps(ladders, at, costs, spare)):
        _, name, place = max(steps)
        spare -= ladders[name][place].bytes - ladders[name][at[name]].bytes
        at[name] = place
    return {name: ladders[name][place].options for name, place in at.items()}


def _steps(
    ladders: Mapping[str, Sequence[Rung]], at: Mapping[str, int], costs: Mapping[str, float], spare: float
) -> Iterator[tuple[float, str, int]]:
    """Rungs that can be paid for: the error each spares per byte, its layer and its place."""
    for name, now in at.items():
        below = ladders[name][now]
        for place in range(now):
            above = ladders[name][place]
            if above.bytes - below.bytes <= spare:
                yield (
                    costs[name] * (below.error - above.error) / max(above.bytes - below.bytes, 1),
                    name,
                    place,
                )


def _projections(layer: Layer, said: LayerRecipe, inputs: Tensor | None, *, lowest: bool) -> tuple[Rung, ...]:
    """Settings of a wide layer, finest first, without those that another of fewer bytes does better.

    What suits it depends on its weights: pruning where many are small, dense codes where they are not. They are
    compared by what some of its rows lose, on what they read where that is known.
    """
    rows = _sample(layer)
    choices = {said, *PROJECTIONS, *_DENSE}
    found = [Rung(options, layer_bytes(layer, options), _lost(rows, options, inputs)) for options in choices]
    kept: list[Rung] = []
    for rung in sorted(found, key=lambda each: (each.bytes, each.error)):
        if not kept or rung.error < kept[0].error:
            kept.insert(0, rung)
    fine = [rung for rung in kept if 8 * rung.bytes >= FEWEST_BITS * layer.weight.numel()]
    return tuple(kept if lowest else fine or kept[:1])


def _float_bytes(layers: Mapping[str, Layer]) -> int:
    return _BYTES * sum(
        module.weight.numel() + (0 if module.bias is None else module.bias.numel())
        for module in layers.values()
    )

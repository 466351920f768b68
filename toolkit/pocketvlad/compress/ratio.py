"""A recipe's promise kept for every model: where its rules alone give too many bytes, layers get fewer bits.

The rules of the compact recipes are made for models that are mostly a whitening layer. In others (all convolution, a
transformer) the promise is kept by one level of bits, from which layers differ by their weights. Bits of a small layer
cost few bytes, and its errors count like any other's: a layer of a 16th of the weights gets one bit more. (If relative
errors cost the same wherever they happen, a quarter would: an error falls by 4 with each bit. But the large layers of a
network are where most of the features come from; on a trained sentence encoder at 4 bits the steeper rule had a centred
cosine of .966, see :data:`_SLOPE`.) Of a wide last layer that rule is right: it falls by a bit for every 4 times of the
largest other layer's weights.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from pocketvlad.compress.codes.assignment import choose_layout, quantize_layer
from pocketvlad.compress.layers import Layer, compressible_layers
from pocketvlad.compress.recipe import LayerRecipe, LayerRule, Recipe
from pocketvlad.lut.layouts.base import packed_rows
from pocketvlad.model.network import Network
from pocketvlad.model.roles import PROJECTION

FEWEST_BITS = 2  # of a layer that is no projection: at 1 a convolution says little more than its signs
_CODEBOOKS, _FEWEST_ROWS = 64, 16
_SLOPE, _WIDE_SLOPE = 0.25, 0.5  # bits for each doubling of a layer's weights
_STEP = 0.125  # of the level, bits
_SAMPLE_ROWS = 64  # of a projection, whose settings are compared on them
_BYTES = 4  # of float32


def _sparse(bits: int, sparsity: float) -> LayerRecipe:
    return LayerRecipe(bits, sparsity=sparsity, layout="sparse", row_scale="soft", calibrate="gptq")


def _blocks(block: int, bits: int) -> LayerRecipe:
    return LayerRecipe(bits, block=block, row_scale="soft", calibrate="gptq")


# settings of a wide last layer, finest first
PROJECTIONS = (
    *(LayerRecipe(bits, row_scale="soft", calibrate="gptq") for bits in (8, 6, 5)),
    *(_sparse(*setting) for setting in ((4, 0.32), (4, 0.5), (3, 0.55), (2, 0.66))),
    *(_blocks(*setting) for setting in ((2, 2), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), (16, 1))),
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


def with_promise(network: nn.Module, recipe: Recipe) -> Recipe:
    """The recipe, with rules that keep its :attr:`Recipe.ratio` for this network where its own do not.

    Layers keep two bits at least, so that a network without a wide layer may not reach a very small ratio.
    """
    layers = compressible_layers(network)
    roles = network.roles() if isinstance(network, Network) else {}
    said = {name: recipe.for_layer(name, roles.get(name, "")) for name in layers}
    if not recipe.ratio or not layers:
        return recipe
    limit = _float_bytes(layers) / recipe.ratio
    if _bytes(layers, said) <= limit:
        return recipe
    wide = frozenset(name for name in layers if roles.get(name) == PROJECTION)
    ladders = {
        name: _projections(module, said[name])
        if name in wide
        else tuple(_at(module, said[name], bits) for bits in range(said[name].bits, FEWEST_BITS - 1, -1))
        for name, module in layers.items()
    }
    chosen = _filled(layers, ladders, _levelled(layers, ladders, wide, limit), limit)
    rules = tuple(
        LayerRule(match=name, **vars(options)) for name, options in chosen.items() if options != said[name]
    )
    return dataclasses.replace(recipe, rule=(*recipe.rule, *rules))


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


def _levelled(
    layers: Mapping[str, Layer],
    ladders: Mapping[str, Sequence[LayerRecipe]],
    wide: frozenset[str],
    limit: float,
) -> dict[str, int]:
    """Each layer's rung, on the highest level whose bytes are within the limit; else the lowest rungs."""
    costs = {name: [_bits_each(layers[name], rung) for rung in ladder] for name, ladder in ladders.items()}
    smallest = {name: _lowest(name, layers, costs) for name in ladders}
    less = _bits_less({name: module.weight.numel() for name, module in layers.items()}, wide)
    highest = 8 + max(less.values())
    for step in range(int((highest - min(less.values())) / _STEP)):
        level = highest - step * _STEP
        rungs = {}
        for name, each in costs.items():
            bits = level - less[name]
            fitting = next((i for i, cost in enumerate(each) if cost <= bits + 0.5), smallest[name])
            rungs[name] = min(fitting, smallest[name])
        if _bytes(layers, {name: ladders[name][rung] for name, rung in rungs.items()}) <= limit:
            return rungs
    return smallest


def _bits_less(weights: Mapping[str, int], wide: frozenset[str]) -> dict[str, float]:
    """How many bits below the level each layer is; ``wide``: the projections."""
    others = [count for name, count in weights.items() if name not in wide] or [1]
    found = {name: _SLOPE * math.log2(count) for name, count in weights.items()}
    for name in wide:
        wider = max(math.log2(weights[name] / max(others)), 0.0)
        found[name] += (_WIDE_SLOPE - _SLOPE) * wider
    return found


def _lowest(name: str, layers: Mapping[str, Layer], costs: Mapping[str, Sequence[float]]) -> int:
    """A layer's last rung: only the one with most weights goes below :data:`FEWEST_BITS`."""
    largest = max(layers, key=lambda each: layers[each].weight.numel())
    if name == largest:
        return len(costs[name]) - 1
    return max(i for i, cost in enumerate(costs[name]) if cost >= FEWEST_BITS or i == 0)


def _filled(
    layers: Mapping[str, Layer],
    ladders: Mapping[str, Sequence[LayerRecipe]],
    rungs: Mapping[str, int],
    limit: float,
) -> dict[str, LayerRecipe]:
    """What is left of the limit goes to the layers of fewest bits, as they are registered, a rung each."""
    chosen = {name: ladders[name][rung] for name, rung in rungs.items()}
    spare = limit - _bytes(layers, chosen)
    for name, rung in sorted(rungs.items(), key=lambda each: _bits_each(layers[each[0]], chosen[each[0]])):
        if rung == 0:
            continue
        better = ladders[name][rung - 1]
        more = layer_bytes(layers[name], better) - layer_bytes(layers[name], chosen[name])
        if more <= spare:
            chosen[name], spare = better, spare - more
    return chosen


def _projections(layer: Layer, said: LayerRecipe) -> tuple[LayerRecipe, ...]:
    """Settings of a wide layer, finest first, without those that another of fewer bytes does better.

    What suits it depends on its weights: pruning where many are small, dense codes where they are not. They are
    compared by the squared error of some of its rows.
    """
    rows = layer.weight.detach()[:: max(1, len(layer.weight) // _SAMPLE_ROWS)].numpy()
    sample = nn.utils.skip_init(nn.Linear, rows.shape[1], rows.shape[0], bias=False)
    sample.weight.data = torch.from_numpy(rows)
    found: list[tuple[int, float, LayerRecipe]] = []
    for options in {said, *PROJECTIONS, *_DENSE}:
        used = quantize_layer(rows, options, name="projection").dequantize()
        found.append((layer_bytes(layer, options), float(((used - rows) ** 2).sum()), options))
    kept: list[LayerRecipe] = []
    least = math.inf
    for _, error, options in sorted(found, key=lambda each: each[:2]):
        if error < least:
            kept.insert(0, options)
            least = error
    return tuple(kept)


def _bits_each(layer: Layer, options: LayerRecipe) -> float:
    """What a weight takes; scales and biases, which no setting spares, apart."""
    if not options.sparsity and not options.block:
        return options.bits
    return 8 * layer_bytes(layer, options) / layer.weight.numel()


def _bytes(layers: Mapping[str, Layer], options: Mapping[str, LayerRecipe]) -> int:
    return sum(layer_bytes(module, options[name]) for name, module in layers.items())


def _float_bytes(layers: Mapping[str, Layer]) -> int:
    return _BYTES * sum(
        module.weight.numel() + (0 if module.bias is None else module.bias.numel())
        for module in layers.values()
    )

"""A budget instead of knobs: the most accurate file of a size, or the smallest file of an accuracy.

A search walks candidates of falling size. Their sizes are known without compressing; a candidate counts only
when it was compressed and measured, and the search goes on where the measured file breaks its promise. The
candidates come from measured sensitivities (:mod:`pocketvlad.compress.search.sensitivity`) or from the ladder here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pocketvlad.compress.compressed import Compressed
from pocketvlad.compress.layers import compressible_layers
from pocketvlad.compress.ratio import PROJECTIONS, layer_bytes
from pocketvlad.compress.recipe import LayerRecipe, LayerRule, Recipe
from pocketvlad.errors import RecipeError
from pocketvlad.evaluate.metrics import Difference
from pocketvlad.model.network import Network
from pocketvlad.model.roles import PROJECTION

CONVOLUTION_BITS = (8, 7, 6, 5, 4)


_GRAPH_BYTES, _LAYER_BYTES = 12_000, 1_500  # of a program beside its arrays, first guess


@dataclass(frozen=True)
class Candidate:
    """A setting of the search and the bytes its arrays take."""

    recipe: Recipe
    bytes: int


@dataclass(frozen=True)
class Measured:
    """A compressed model's program, measured on photos that neither calibrated nor trained it.

    Attributes:
        bytes: of the program.
        drop: what it loses against the uncompressed model, points of the dataset's score, with its 95%
            interval; negative where it gains.
        cosine: mean over the photos, to the uncompressed descriptors (cut to as many dimensions).
    """

    bytes: int
    drop: Difference
    cosine: float

    def as_values(self) -> dict[str, Any]:
        """For tables, JSON and a file's figures."""
        return {
            "program_mb": self.bytes / 1e6,
            "drop_points": self.drop.mean,
            "drop_low": self.drop.low,
            "drop_high": self.drop.high,
            "mean_cosine": self.cosine,
        }


@dataclass(frozen=True, eq=False)
class Judged:
    """A candidate compressed and its program measured."""

    compressed: Compressed
    measured: Measured


Judge = Callable[[Candidate], Judged]


def convolution(bits: int) -> LayerRecipe:
    """The options the search uses for everything but a wide last layer."""
    return LayerRecipe(bits, "uniform" if bits == 8 else "kmeans", row_scale="max", calibrate="gptq")


def last_projection(network: Network) -> str | None:
    """The name of the layer that makes the descriptor, where it is a projection."""
    name, role = list(network.roles().items())[-1]
    return name if role == PROJECTION else None


def recipe_of(name: str, layers: dict[str, LayerRecipe], dimensions: float = 1.0) -> Recipe:
    """A recipe with these options, layer by layer."""
    rules = tuple(LayerRule(match=layer, **vars(options)) for layer, options in layers.items())
    return Recipe(1, name, rule=rules, dimensions=dimensions)


def ladder(model: Network, dimensions: float = 1.0) -> list[Candidate]:
    """Settings known to do well together, largest first.

    A finer projection never goes with much coarser convolutions.
    """
    found = []
    names, wide, last = compressible_layers(model), last_projection(model), len(PROJECTIONS) - 1
    for place, coarse in enumerate(PROJECTIONS if wide else PROJECTIONS[:1]):
        matched = CONVOLUTION_BITS[round(place / last * (len(CONVOLUTION_BITS) - 1))]
        for bits in {matched, max(matched - 1, 4), min(matched + 1, 8)}:
            layers = {name: coarse if name == wide else convolution(bits) for name in names}
            recipe = recipe_of(f"search-{bits}bit-convolutions-projection-{place}", layers, dimensions)
            found.append(Candidate(recipe, predicted_bytes(model, recipe)))
    return sorted(found, key=lambda c: -c.bytes)


def predicted_bytes(model: Network, recipe: Recipe) -> int:
    """Bytes of the compressed arrays without compressing anything."""
    constants = [model.get_parameter(name) for name in model.constants()]
    total = sum(each.numel() + 4 * each.shape[0] for each in constants)
    layers, roles = compressible_layers(model).items(), model.roles()
    return total + sum(layer_bytes(module, recipe.for_layer(name, roles[name])) for name, module in layers)


def program_overhead(model: Network) -> int:
    """About how many bytes a program takes beside its arrays; a search corrects it by what it measures."""
    return _GRAPH_BYTES + _LAYER_BYTES * len(compressible_layers(model))


def most_accurate_within(options: Sequence[Candidate], limit: int, judge: Judge, overhead: int = 0) -> Judged:
    """The largest candidate whose measured file takes at most ``limit`` bytes.

    Args:
        options: from largest to smallest, each as accurate as its size allows.
        limit: bytes of the file.
        judge: compresses and measures a candidate.
        overhead: bytes a file is expected to take beside its arrays; a file found larger raises it.

    Raises:
        RecipeError: nothing is that small.
    """
    for candidate in options:
        if candidate.bytes + overhead > limit:
            continue
        judged = judge(candidate)
        if judged.measured.bytes <= limit:
            return judged
        overhead = max(overhead, judged.measured.bytes - candidate.bytes)
    smallest = (options[-1].bytes + overhead) / 1e6
    raise RecipeError(
        f"no setting fits {limit / 1e6:.2f} MB", allowed=f"about {smallest:.2f} MB or more for this model"
    )


def smallest_losing_at_most(options: Sequence[Candidate], allowed: float, judge: Judge) -> Judged:
    """The smallest candidate that loses at most ``allowed``, found by bisection over the sizes.

    Args:
        options: from largest to smallest; the drop should grow as they shrink.
        allowed: points of the dataset's score, mAP or recall.
        judge: compresses and measures a candidate.

    Raises:
        RecipeError: every candidate tried loses more.
    """
    low, high = 0, len(options) - 1  # options[low - 1] is known to pass, options[high + 1] to fail
    best: Judged | None = None
    least = float("inf")
    while low <= high:
        middle = (low + high) // 2
        judged = judge(options[middle])
        least = min(least, judged.measured.drop.mean)
        if judged.measured.drop.mean <= allowed:
            best, low = judged, middle + 1
        else:
            high = middle - 1
    if best is None:
        raise RecipeError(f"no setting loses at most {allowed:g} points", found=f"{least:.2f} at best")
    return best


def thinned(options: Sequence[Candidate], step: float = 0.96) -> list[Candidate]:
    """Those candidates whose sizes differ by 4% at least: fewer tries of a bisection."""
    kept = [options[0]]
    for candidate in options[1:]:
        if candidate.bytes <= step * kept[-1].bytes:
            kept.append(candidate)
    return kept

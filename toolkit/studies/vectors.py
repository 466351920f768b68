r"""A layer behind the head at two bits a weight and below: codes of single weights, codes of vectors, and rotations.

Cross-fitted as studies.crossfit does it. All other layers stay in float32, so that nothing but the layer's codes tells
the rows apart; it is computed by torch. Prints one table and writes out/studies/vectors/vectors.json:

    PYTHONPATH=toolkit .venv/bin/python -m studies.vectors --photos folder:indoor folder:outdoor \
      --weights squeezenet1_1.safetensors
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

from pocketvlad.compress.calibrate.views import example_views
from pocketvlad.compress.calibrate.wide import FEW_SURVIVORS, USUAL, fit_wide, wide_curvature
from pocketvlad.compress.codes.assignment import row_scale
from pocketvlad.compress.codes.compensation import Curvature, Rest
from pocketvlad.compress.codes.int8 import fast_weight
from pocketvlad.compress.codes.rounding import upper_of_inverse
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.compress.sizes import parts_of_layer
from pocketvlad.threads import in_order, one_thread
from studies import palettized
from studies.contenders import Contender, Study
from studies.folds import Fold, whitening_of
from studies.scores import Tested

CENTROIDS, SAMPLES = 256, 100_000  # a code is a byte; vectors that centroids are clustered from
_FEW_LEVELS = 8  # weights a code, from where on a bit or less is left for each
NOTE = f"""\
MB is the layer's alone. "Vectors of n": a code of 8 bits for n weights of a row, over the row's scale; {CENTROIDS}
centroids, each input weighted by its second moment, errors made up for in the vectors still to come (as van Baalen et
al., "GPTVQ", 2024, do). "Inputs rotated": in each cluster's block by random signs and a Hadamard matrix, the weights by
its inverse (as Tseng et al., "QuIP#", ICML 2024). Every row is fitted to the same views of the fitting photos, its bias
corrected."""


@dataclass(frozen=True, eq=False)
class Wide:
    """A fold's layer behind the head.

    Attributes:
        weight, bias: float32 [N, V] and [N].
        block: values of a cluster.
        inputs: float32 [M, V], what it reads of views of the fitting photos.
    """

    weight: Tensor
    bias: Tensor
    block: int
    inputs: Tensor


_NAMES = {
    "2": "4 levels",
    "1": "2 levels",
    "4": "one of 4 kept, 4 levels",
    "8": "one of 8 kept, 2 levels",
}
Rounded = Callable[[Wide], tuple[Tensor, int]]  # the weights that stand for the layer's, and their bytes


def scalar(**options: Any) -> Rounded:
    """Codes of single weights as recipes have them, compensated."""

    def rounded(wide: Wide) -> tuple[Tensor, int]:
        layer = nn.Linear(wide.weight.shape[1], len(wide.weight))
        layer.weight, layer.bias = nn.Parameter(wide.weight), nn.Parameter(wide.bias)
        recipe = LayerRecipe(row_scale="soft", calibrate="gptq", pin_zero=False, **options)
        lut, _ = fit_wide(layer, recipe, wide.inputs, wide.inputs, wide.block)
        return torch.from_numpy(fast_weight(lut)), sum(parts_of_layer(lut).values())

    return rounded


def vectors(length: int) -> Rounded:
    """A code of 8 bits for ``length`` weights of a row, compensated."""

    def rounded(wide: Wide) -> tuple[Tensor, int]:
        scale = row_scale(wide.weight.numpy(), "soft")
        rows = torch.ones(len(wide.weight)) if scale is None else torch.from_numpy(scale)
        centred = wide.inputs - wide.inputs.mean(dim=0)
        centroids = _centroids(wide.weight / rows[:, None], centred.square().mean(dim=0), length)
        trust = (
            FEW_SURVIVORS if length >= _FEW_LEVELS else USUAL
        )  # as the codes of single weights at these bytes
        found = compensated_vectors(wide.weight, rows, centroids, wide_curvature(centred, wide.block, trust))
        return found, wide.weight.numel() // length + 4 * (centroids.numel() + len(rows))

    return rounded


def rotated(inner: Rounded) -> Rounded:
    """What ``inner`` makes of the layer with its inputs rotated, turned back."""

    def rounded(wide: Wide) -> tuple[Tensor, int]:
        turn = rotation(wide.block)

        def turned(rows: Tensor) -> Tensor:
            return (rows.reshape(-1, wide.block) @ turn).reshape(rows.shape)

        found, size = inner(Wide(turned(wide.weight), wide.bias, wide.block, turned(wide.inputs)))
        return (found.reshape(-1, wide.block) @ turn.T).reshape(found.shape), size

    return rounded


def rotation(size: int) -> Tensor:
    """Random signs times a Hadamard matrix, orthogonal, float32 [size, size]; ``size`` a power of two."""
    matrix = torch.ones(1, 1)
    while len(matrix) < size:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    signs = torch.randint(2, (size, 1), generator=torch.Generator().manual_seed(0)).mul(2.0).sub(1)
    return signs * matrix / size**0.5


def compensated_vectors(weight: Tensor, scale: Tensor, centroids: Tensor, curvature: Curvature) -> Tensor:
    """Each vector becomes the centroid that costs least once the vectors to come make up for it, float32 [N, V].

    Args:
        weight: float32 [N, V].
        scale: float32 [N], of the rows.
        centroids: float32 [C, n].
        curvature: of the inputs.
    """
    size, length = curvature.blocks.shape[1], centroids.shape[1]
    found, rest = torch.empty_like(weight), Rest(curvature, len(weight))
    for block in range(len(curvature.blocks)):
        part = slice(block * size, (block + 1) * size)
        hessian, shift = rest.enter(block)
        left = (weight[:, part] if shift is None else weight[:, part] - shift).clone()
        upper = upper_of_inverse(hessian)
        for start in range(0, size, length):
            own = slice(start, start + length)
            costs = torch.linalg.inv(upper[own, own])
            wanted = left[:, own] / scale[:, None]
            values = centroids[torch.cdist(wanted @ costs, centroids @ costs).argmin(dim=1)] * scale[:, None]
            left[:, start + length :] -= (left[:, own] - values) @ costs @ upper[own, start + length :]
            found[:, part.start + start : part.start + start + length] = values
        rest.leave(found[:, part] - weight[:, part])
    return _refitted(weight, found, curvature)


def _refitted(weight: Tensor, found: Tensor, curvature: Curvature) -> Tensor:
    """The rows of ``found`` by the scales that cost least."""
    pulled = curvature.times(found)
    return found * ((weight * pulled).sum(dim=1) / (found * pulled).sum(dim=1).clamp_min(1e-30))[:, None]


def _centroids(scaled: Tensor, importance: Tensor, length: int) -> Tensor:
    """Of vectors of ``length`` scaled weights, each weighted by its inputs' mean second moment."""
    pieces = scaled.reshape(len(scaled), -1, length)
    weights = importance.reshape(-1, length).mean(dim=1).expand(pieces.shape[:2]).flatten().numpy()
    pieces = pieces.reshape(-1, length)
    chosen = np.random.default_rng(0).choice(len(pieces), min(SAMPLES, len(pieces)), replace=False)
    fitted = KMeans(CENTROIDS, n_init=1, max_iter=40, random_state=0).fit(
        pieces[chosen].numpy(), sample_weight=weights[chosen]
    )
    return torch.from_numpy(fitted.cluster_centers_.astype(np.float32))


@cache
def _wide(fold: Fold) -> Wide:
    """The fold's layer and what it reads of views of the fitting photos."""
    network = fold.network().eval()
    layer = whitening_of(network)
    examples = [(photo[None],) for photo in fold.fitting_tensors().calibration()]

    def read(view: tuple[Tensor, ...]) -> Tensor:
        (found,) = view
        for _, part in network.parts()[:-1]:
            found = part(found)
        return found

    with one_thread(), torch.no_grad():
        inputs = torch.cat(list(in_order(read, example_views(examples))))
    return Wide(layer.weight.detach(), layer.bias.detach(), network.head.block, inputs)


def contender(group: str, key: str, name: str, rounded: Rounded) -> Contender:
    """A row: the network with other weights behind its head."""

    def test(fold: Fold) -> Tested:
        def build() -> tuple[Callable[[Any], np.ndarray], int]:
            wide, network = _wide(fold), fold.network().eval()
            weight, size = rounded(wide)
            layer = whitening_of(network)
            with torch.no_grad():
                layer.bias.add_((wide.weight - weight) @ wide.inputs.mean(dim=0))
                layer.weight.copy_(weight)
            return palettized.described_by(network), size

        tested = fold.test_peer(key, {"centroids": CENTROIDS, "samples": SAMPLES}, build)
        return replace(tested, float_bytes=4 * whitening_of(fold.network()).weight.numel())

    return Contender(group, key, name, test)


def contenders() -> Iterator[Contender]:
    """Each group at equal bytes."""
    for group, single, length in (
        ("2 bits a weight", {"2": scalar(bits=2)}, 4),
        ("1 bit a weight", {"1": scalar(bits=1), "4": scalar(bits=2, block=4)}, 8),
        ("half a bit a weight", {"8": scalar(bits=1, block=8)}, 16),
    ):
        rows = {_NAMES[key]: (f"single-{key}", each) for key, each in single.items()}
        rows |= {f"vectors of {length}": (f"vectors-{length}", vectors(length))}
        for name, (key, rounded) in rows.items():
            yield contender(group, key, name, rounded)
            yield contender(group, f"{key}-rotated", f"{name}, inputs rotated", rotated(rounded))


STUDY = Study("vectors", str(__doc__), "codes of vectors, and rotations", NOTE, "240x320")


def main(arguments: Sequence[str]) -> None:
    STUDY.run(*STUDY.chosen(list(contenders()), arguments), arguments)


if __name__ == "__main__":
    main(sys.argv[1:])

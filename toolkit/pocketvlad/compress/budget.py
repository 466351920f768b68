"""A budget instead of knobs: the most accurate file of a size, or the smallest file of an accuracy.

The search walks candidates of falling size: convolutions at some bits, the whitening layer at some density
and bits. Their sizes are known without compressing; what they lose is measured on photos.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pocketvlad.compress.compressed import CompressedModel
from pocketvlad.compress.post_training import compress_model, compressible_layers
from pocketvlad.compress.sizes import model_bytes
from pocketvlad.errors import RecipeError
from pocketvlad.lut import packing
from pocketvlad.model.netvlad import PlaceModel
from pocketvlad.recipe import LayerRecipe, LayerRule, Recipe

CONVOLUTION_BITS = (8, 7, 6, 5, 4)
# (bits, sparsity) of the whitening layer, finest first; 0 is the dense layout
WHITENING = (
    (8, 0.0),
    (6, 0.0),
    (5, 0.0),
    (4, 0.32),
    (4, 0.5),
    (3, 0.55),
    (2, 0.55),
    (2, 0.66),
    (1, 0.8),
    (1, 0.915),
)
Loss = Callable[[CompressedModel], float]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Candidate:
    """A setting of the search and the bytes it takes."""

    recipe: Recipe
    bytes: int


@dataclass(frozen=True, eq=False)
class Found:
    """What a search chose.

    Attributes:
        compressed: the model.
        loss: what the measure said of it.
        tried: every candidate compressed, with its loss, in the order of trying.
    """

    compressed: CompressedModel
    loss: float
    tried: tuple[tuple[Candidate, float], ...]


def candidates(model: PlaceModel, *, calibrated: bool) -> list[Candidate]:
    """Settings worth trying, largest first: finer whitening never goes with much coarser convolutions."""
    found = []
    last = len(WHITENING) - 1
    for place, (bits, sparsity) in enumerate(WHITENING if model.whitening is not None else WHITENING[:1]):
        matched = CONVOLUTION_BITS[round(place / last * (len(CONVOLUTION_BITS) - 1))]
        for convolution in {matched, max(matched - 1, 4), min(matched + 1, 8)}:
            recipe = _recipe(convolution, bits, sparsity, calibrated)
            found.append(Candidate(recipe, predicted_bytes(model, recipe)))
    return sorted(found, key=lambda c: -c.bytes)


def _recipe(convolution: int, bits: int, sparsity: float, calibrated: bool) -> Recipe:
    calibrate = "gptq" if calibrated else "none"
    codebook = "uniform" if convolution == 8 else "kmeans"
    layer = LayerRecipe(bits=convolution, codebook=codebook, row_scale="max", calibrate=calibrate)
    layout = "sparse" if sparsity else "dense"
    rule = LayerRule("whitening", bits, "kmeans", sparsity=sparsity, layout=layout, row_scale="soft")
    name = f"search-{convolution}bit-convolutions-{bits}bit-{sparsity:.0%}-pruned-whitening"
    return Recipe(1, name, layer=layer, rule=(rule,))


def predicted_bytes(model: PlaceModel, recipe: Recipe) -> int:
    """Bytes of the compressed arrays without compressing anything; sparse rows are taken as equally dense."""
    total = model.pool.centroids.numel() + 4 * model.pool.centroids.shape[0]
    for name, module in compressible_layers(model).items():
        options, rows = recipe.for_layer(name), module.weight.shape[0]
        columns = module.weight[0].numel()
        flat = module.weight.dim() != 2
        lines, length = (1, rows * columns) if flat else (rows, columns)
        kept = length if options.layout != "sparse" else round(length * (1 - options.sparsity))
        total += lines * packing.row_bytes(kept, options.bits) + 4 * (1 << options.bits)
        if options.layout == "sparse":
            total += lines * packing.mask_bytes(length) + (0 if flat else 4 * (rows + 1))
        total += 4 * rows * (options.row_scale != "none") + 4 * rows * (module.bias is not None)
    return total


def most_accurate_within(
    model: PlaceModel,
    limit: int,
    loss: Loss,
    *,
    calibration: Tensor | None = None,
    tries: int = 3,
    progress: Progress | None = None,
) -> Found:
    """The candidate of at most ``limit`` bytes that loses least, out of the ``tries`` largest.

    Args:
        model: uncompressed.
        limit: bytes of all arrays.
        loss: what a compressed model loses, for example 1 - mean cosine on validation photos.
        calibration: float32 [N, 3, H, W] or None.
        tries: candidates compressed and measured.
        progress: called with candidates done and candidates in all.

    Raises:
        RecipeError: nothing is that small.
    """
    calibrated = calibration is not None
    fitting = [c for c in candidates(model, calibrated=calibrated) if c.bytes <= limit]
    best: Found | None = None
    tried: list[tuple[Candidate, float]] = []
    for candidate in fitting:
        compressed = compress_model(model, candidate.recipe, calibration=calibration)
        if model_bytes(compressed) > limit:
            continue  # pruning while compensating may keep a little more than predicted
        value = loss(compressed)
        tried.append((candidate, value))
        if best is None or value < best.loss:
            best = Found(compressed, value, ())
        if progress is not None:
            progress(len(tried), min(tries, len(fitting)))
        if len(tried) == tries:
            break
    if best is None:
        raise _nothing_fits(model, limit, calibrated)
    return Found(best.compressed, best.loss, tuple(tried))


def _nothing_fits(model: PlaceModel, limit: int, calibrated: bool) -> RecipeError:
    smallest = min(c.bytes for c in candidates(model, calibrated=calibrated))
    return RecipeError(
        f"no setting fits {limit / 1e6:.2f} MB", allowed=f"at least {smallest / 1e6:.2f} MB for this model"
    )


def smallest_losing_at_most(
    model: PlaceModel,
    allowed: float,
    loss: Loss,
    *,
    calibration: Tensor | None = None,
    progress: Progress | None = None,
) -> Found:
    """The smallest candidate that loses at most ``allowed``, found by bisection over the sizes.

    Args:
        model: uncompressed.
        allowed: in the unit of ``loss``, for example points of mAP on a validation split.
        loss: what a compressed model loses; it should grow as files shrink.
        calibration: float32 [N, 3, H, W] or None.
        progress: called with candidates done and an upper bound of candidates in all.

    Raises:
        RecipeError: even the largest candidate loses more.
    """
    options = candidates(model, calibrated=calibration is not None)
    low, high = 0, len(options) - 1  # options[low - 1] is known to pass, options[high + 1] to fail
    best: Found | None = None
    tried: list[tuple[Candidate, float]] = []
    steps = len(options).bit_length()
    while low <= high:
        middle = (low + high) // 2
        compressed = compress_model(model, options[middle].recipe, calibration=calibration)
        value = loss(compressed)
        tried.append((options[middle], value))
        if value <= allowed:
            best, low = Found(compressed, value, ()), middle + 1
        else:
            high = middle - 1
        if progress is not None:
            progress(len(tried), max(steps, len(tried)))
    if best is None:
        raise RecipeError(
            f"no setting loses at most {allowed:g}", found=f"{min(v for _, v in tried):.2f} at best"
        )
    return Found(best.compressed, best.loss, tuple(tried))

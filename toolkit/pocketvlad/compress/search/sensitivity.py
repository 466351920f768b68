"""What each layer's compression costs, measured, and the order in which to spend it.

Every layer is compressed alone at a few settings, fitted to calibration photos as a whole compression would
fit it, while all other layers stay float32; its loss is the mean 1 - cosine of validation descriptors. Losses
of that size add up well enough to rank settings: from everything at its finest, the step that loses least per
byte saved comes first (greedy over each layer's convex hull), which gives one candidate for every size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pocketvlad.compress.calibrate.fit import fit_layer
from pocketvlad.compress.calibrate.moments import Moments
from pocketvlad.compress.calibrate.plain import inputs_of, plain_moments
from pocketvlad.compress.calibrate.views import views_per_photo
from pocketvlad.compress.calibrate.wide import fit_wide
from pocketvlad.compress.codes.int8 import fast_weight, quantize_input
from pocketvlad.compress.layers import Layer, compressible_layers
from pocketvlad.compress.ratio import PROJECTIONS, layer_bytes
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.compress.search.budget import (
    Candidate,
    convolution,
    last_projection,
    predicted_bytes,
    recipe_of,
)
from pocketvlad.compress.search.kept import KeptSearch
from pocketvlad.model.network import Network
from pocketvlad.model.unit import unit_length
from pocketvlad.model.views import photo_views
from pocketvlad.progress import Progress, Steps
from pocketvlad.schema import to_table
from pocketvlad.threads import one_thread

BITS = (8, 6, 5, 4)  # of everything but a wide last layer
ROWS = 512  # of the wide last layer that are fitted for its measure, spread evenly
WORK = 3e12  # additions and multiplications of forward passes, about a minute's; decides how many photos are looked at
_FEWEST, _MOST = 2, 24  # validation photos
_VIEW_PHOTOS = 48  # calibration photos whose views fit the wide last layer's measure


@dataclass(frozen=True)
class Option:
    """One setting of one layer: its options, the bytes they take, the mean 1 - cosine they cost."""

    options: LayerRecipe
    bytes: int
    loss: float


@torch.no_grad()
@one_thread()
def measure_sensitivity(
    model: Network,
    calibration: Tensor,
    validation: Tensor,
    *,
    kept: KeptSearch | None = None,
    progress: Progress | None = None,
) -> dict[str, list[Option]]:
    """Every layer's settings with their losses.

    Args:
        model: uncompressed; the same after as before.
        calibration: float32 [N, 3, H, W], photos the codes are fitted to.
        validation: float32 [M, 3, H, W], photos the loss is measured on; as many as :data:`WORK` allows are used.
        kept: losses of a search that was stopped; None: nothing is kept.
        progress: called with settings done and in all.
    """
    layers, wide = compressible_layers(model), last_projection(model)
    settings = {name: [convolution(bits) for bits in BITS] for name in layers if name != wide}
    photos = _affordable(model, validation, sum(map(len, settings.values())))
    moments = cache(lambda: plain_moments(model, [(each[None],) for each in calibration]))
    wanted = cache(lambda: _describe(model, photos))

    def measure(name: str) -> list[float]:
        layer = layers[name]
        if name == wide and isinstance(layer, nn.Linear):
            return _projection_losses(model, name, layer, calibration, photos)
        return [_layer_loss(model, layer, each, moments()[name], photos, wanted()) for each in settings[name]]

    if wide:
        settings[wide] = list(PROJECTIONS)
    kept = kept or KeptSearch(None, {}, {})
    steps = Steps(progress, sum(map(len, settings.values())))
    found = {}
    for name, choices in settings.items():
        about = {"layer": name, "dim": model.outputs, "settings": to_table(choices)}
        losses = kept.losses(about, len(choices), partial(measure, name))
        sizes = [layer_bytes(layers[name], options) for options in choices]
        found[name] = [Option(*each) for each in zip(choices, sizes, losses, strict=True)]
        steps.done(len(choices))
    return found


def _affordable(model: Network, validation: Tensor, measures: int) -> Tensor:
    """Validation photos, evenly spread, that many that all measures together take about WORK.

    Counted and not timed: the same search chooses the same on a machine that has other work.
    """
    with FlopCounterMode(display=False) as counter:
        model(validation[:1])
    allowed = int(WORK / (counter.get_total_flops() * measures))
    count = min(max(allowed, _FEWEST), _MOST, len(validation))
    return validation[:: len(validation) // count][:count]


def _describe(model: Network, photos: Tensor) -> Tensor:
    """One photo at a time: float32 [M, N]."""
    return torch.cat([model(photo[None]) for photo in photos])


def _layer_loss(
    model: Network, module: Layer, options: LayerRecipe, moments: Moments, photos: Tensor, wanted: Tensor
) -> float:
    """Mean 1 - cosine with this one layer compressed."""
    weight, bias = module.weight.data, None if module.bias is None else module.bias.data
    fitted = fit_layer(module, options, moments)
    try:
        module.weight.data = torch.from_numpy(fitted.lut.dequantize())
        if module.bias is not None and fitted.bias is not None:
            module.bias.data = torch.from_numpy(fitted.bias)
        return _loss(_describe(model, photos), wanted)
    finally:
        module.weight.data = weight
        if module.bias is not None and bias is not None:
            module.bias.data = bias


def _loss(found: Tensor, wanted: Tensor) -> float:
    return max(float(1 - (found * wanted).sum(dim=1).mean()), 0.0)


def _projection_losses(
    model: Network, name: str, layer: nn.Linear, calibration: Tensor, photos: Tensor
) -> list[float]:
    """A wide last layer's settings, measured on evenly spread rows: descriptors of those dimensions alone."""
    few = calibration[:: -(-len(calibration) // _VIEW_PHOTOS)]
    views = list(photo_views(few, views_per_photo(len(few))))
    vectors, reached = inputs_of(model, name, views), inputs_of(model, name, list(photos))
    part = _some_rows(layer)
    wanted = unit_length(part(reached))
    found = []
    for options in PROJECTIONS:
        lut, bias = fit_wide(part, options, vectors, vectors, model.head.block)
        outputs = quantize_input(reached) @ torch.from_numpy(fast_weight(lut)).T
        if bias is not None:
            outputs = outputs + torch.from_numpy(bias)
        found.append(_loss(unit_length(outputs), wanted))
    return found


def _some_rows(layer: nn.Linear) -> nn.Linear:
    step = -(-layer.out_features // ROWS)
    count = len(range(0, layer.out_features, step))
    part = nn.utils.skip_init(nn.Linear, layer.in_features, count, bias=layer.bias is not None)
    part.weight.data = layer.weight.data[::step]
    if layer.bias is not None:
        part.bias.data = layer.bias.data[::step]
    return part


def allocate(
    model: Network, sensitivity: dict[str, list[Option]], dimensions: float = 1.0
) -> list[Candidate]:
    """Candidates from everything at its finest down to everything at its coarsest, largest first.

    Args:
        model: with the share ``dimensions`` of its dimensions already.
        sensitivity: of :func:`measure_sensitivity`.
        dimensions: noted in the recipes.
    """
    hulls = {name: _hull(options) for name, options in sensitivity.items()}
    chosen = {name: hull[0] for name, hull in hulls.items()}
    steps = [
        ((after.loss - before.loss) / (before.bytes - after.bytes), place, name, after)
        for name, hull in hulls.items()
        for place, (before, after) in enumerate(zip(hull, hull[1:], strict=False))
    ]
    found = [_candidate(model, chosen, dimensions)]
    for _, _, name, after in sorted(steps, key=lambda step: step[:3]):
        chosen[name] = after
        found.append(_candidate(model, chosen, dimensions))
    return found


def _candidate(model: Network, chosen: dict[str, Option], dimensions: float) -> Candidate:
    recipe = recipe_of("search", {name: option.options for name, option in chosen.items()}, dimensions)
    return Candidate(recipe, predicted_bytes(model, recipe))


def _hull(options: Sequence[Option]) -> list[Option]:
    """The settings worth having, largest first: each further one costs more per byte than the one before."""
    hull = [min(options, key=lambda option: (option.loss, option.bytes))]
    while smaller := [option for option in options if option.bytes < hull[-1].bytes]:
        last = hull[-1]
        hull.append(min(smaller, key=lambda o: ((o.loss - last.loss) / (last.bytes - o.bytes), o.bytes)))
    return hull

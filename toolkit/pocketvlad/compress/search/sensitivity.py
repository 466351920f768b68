"""What each layer's compression costs, measured, and the order in which to spend it.

Every layer is compressed alone at a few settings, fitted to calibration photos as a whole compression would
fit it, while all other layers stay float32; its loss is the mean 1 - cosine of validation descriptors. Losses
of that size add up well enough to rank settings: from everything at its finest, the step that loses least per
byte saved comes first (greedy over each layer's convex hull), which gives one candidate for every size.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pocketvlad.compress.calibrate.calibrated import feature_moments, fit_conv
from pocketvlad.compress.calibrate.moments import Moments
from pocketvlad.compress.calibrate.views import photo_views
from pocketvlad.compress.calibrate.walk import photo_limit, walk_backbone
from pocketvlad.compress.calibrate.wide import fit_whitening_codes
from pocketvlad.compress.codes.int8 import fast_weight, quantize_input
from pocketvlad.compress.post_training import compressible_layers
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.compress.search.budget import (
    WHITENING,
    Candidate,
    convolution,
    layer_bytes,
    predicted_bytes,
    recipe_of,
)
from pocketvlad.model.netvlad import PlaceModel, unit_length

BITS = (8, 6, 5, 4)  # of convolutions and the soft assignment
ROWS = 512  # of the whitening that are fitted for its measure, spread evenly
SECONDS = 60.0  # of forward passes; decides how many validation photos are looked at
_FEWEST, _MOST = 2, 24  # validation photos
_VIEW_PHOTOS = 48  # calibration photos whose views fit the whitening's measure
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Option:
    """One setting of one layer: its options, the bytes they take, the mean 1 - cosine they cost."""

    options: LayerRecipe
    bytes: int
    loss: float


@torch.no_grad()
def measure_sensitivity(
    model: PlaceModel, calibration: Tensor, validation: Tensor, *, progress: Progress | None = None
) -> dict[str, list[Option]]:
    """Every layer's settings with their losses.

    Args:
        model: uncompressed; the same after as before.
        calibration: float32 [N, 3, H, W], photos the codes are fitted to.
        validation: float32 [M, 3, H, W], photos the loss is measured on; as many as the time allows are used.
        progress: called with settings done and in all.
    """
    modules = compressible_layers(model)
    whitening = modules.pop("whitening", None)
    measures = len(modules) * len(BITS)
    steps = _Steps(progress, measures + (0 if whitening is None else len(WHITENING)))
    photos = _affordable(model, validation, measures)
    moments = _float_moments(model, calibration)
    wanted = _describe(model, photos)
    found: dict[str, list[Option]] = {}
    for name, module in modules.items():
        found[name] = []
        for bits in BITS:
            options = convolution(bits)
            loss = _conv_loss(model, module, options, moments[name], photos, wanted)
            found[name].append(Option(options, layer_bytes(module, options), loss))
            steps.done()
    if whitening is not None:
        found["whitening"] = _whitening_options(model, calibration, photos, steps)
    return found


class _Steps:
    def __init__(self, progress: Progress | None, total: int):
        self._progress, self._total, self._count = progress, total, 0

    def done(self) -> None:
        self._count += 1
        if self._progress is not None:
            self._progress(self._count, self._total)


def _affordable(model: PlaceModel, validation: Tensor, measures: int) -> Tensor:
    """Validation photos, evenly spread, that many that all measures together take about SECONDS."""
    model(validation[:1])  # the first pass is slower
    start = time.perf_counter()
    model(validation[:1])
    seconds = time.perf_counter() - start
    count = min(max(int(SECONDS / (seconds * measures)), _FEWEST), _MOST, len(validation))
    return validation[:: len(validation) // count][:count]


def _float_moments(model: PlaceModel, calibration: Tensor) -> dict[str, Moments]:
    """Moments of the inputs of every convolution and of the soft assignment in the float model."""
    chosen = calibration[:: -(-len(calibration) // photo_limit(model.backbone, calibration[:1]))]
    found: dict[str, Moments] = {}

    def keep(name: str, conv: nn.Conv2d, moments: Moments) -> nn.Conv2d:
        found[f"backbone.{name}"] = moments
        return conv

    walk_backbone(model.backbone, chosen, keep)
    channels = model.config.channels
    found["pool.assignment"] = feature_moments(model.backbone, model.backbone, chosen, channels)
    return found


def _describe(model: PlaceModel, photos: Tensor) -> Tensor:
    """One photo at a time: float32 [M, N]."""
    vlads = _vlads(model, photos)
    return vlads if model.whitening is None else unit_length(model.whitening(vlads))


def _vlads(model: PlaceModel, photos: Sequence[Tensor] | Tensor) -> Tensor:
    return torch.stack([model.pool(model.backbone(photo[None]))[0] for photo in photos])


def _conv_loss(
    model: PlaceModel,
    module: nn.Conv2d,
    options: LayerRecipe,
    moments: Moments,
    photos: Tensor,
    wanted: Tensor,
) -> float:
    """Mean 1 - cosine with this one convolution compressed."""
    weight, bias = module.weight.data, None if module.bias is None else module.bias.data
    fitted = fit_conv(module, options, moments)
    try:
        module.weight.data = torch.from_numpy(fitted.lut.dequantize())
        if module.bias is not None:
            module.bias.data = torch.from_numpy(fitted.bias)
        return _loss(_describe(model, photos), wanted)
    finally:
        module.weight.data = weight
        if module.bias is not None:
            module.bias.data = bias


def _loss(found: Tensor, wanted: Tensor) -> float:
    return max(float(1 - (found * wanted).sum(dim=1).mean()), 0.0)


def _whitening_options(model: PlaceModel, calibration: Tensor, photos: Tensor, steps: _Steps) -> list[Option]:
    """The whitening's settings, measured on evenly spread rows: descriptors of those dimensions alone."""
    layer = model.whitening
    views = photo_views(calibration[:: -(-len(calibration) // _VIEW_PHOTOS)])
    vectors, vlads = _vlads(model, list(views)), _vlads(model, photos)
    part = _some_rows(layer)
    wanted = unit_length(part(vlads))
    found = []
    for options in WHITENING:
        lut, bias = fit_whitening_codes(part, options, vectors, vectors, model.config.channels)
        outputs = quantize_input(vlads) @ torch.from_numpy(fast_weight(lut)).T + torch.from_numpy(bias)
        found.append(Option(options, layer_bytes(layer, options), _loss(unit_length(outputs), wanted)))
        steps.done()
    return found


def _some_rows(layer: nn.Linear) -> nn.Linear:
    step = -(-layer.out_features // ROWS)
    part = nn.utils.skip_init(nn.Linear, layer.in_features, len(range(0, layer.out_features, step)))
    part.weight.data, part.bias.data = layer.weight.data[::step], layer.bias.data[::step]
    return part


def allocate(
    model: PlaceModel, sensitivity: dict[str, list[Option]], dimensions: float = 1.0
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


def _candidate(model: PlaceModel, chosen: dict[str, Option], dimensions: float) -> Candidate:
    recipe = recipe_of("search", {name: option.options for name, option in chosen.items()}, dimensions)
    return Candidate(recipe, predicted_bytes(model, recipe))


def _hull(options: Sequence[Option]) -> list[Option]:
    """The settings worth having, largest first: each further one costs more per byte than the one before."""
    hull = [min(options, key=lambda option: (option.loss, option.bytes))]
    while smaller := [option for option in options if option.bytes < hull[-1].bytes]:
        last = hull[-1]
        hull.append(min(smaller, key=lambda o: ((o.loss - last.loss) / (last.bytes - o.bytes), o.bytes)))
    return hull

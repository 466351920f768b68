"""amaralibey/MixVPR (no licence file) and DINO-Mix: a user's own file, bare or of Lightning.

``backbone.model.*`` (torchvision's ResNet up to layer3) or ``backbone.dino_model.*`` (DINOv2 without its last norm);
``aggregator.mix.N.mix.{0,1,3}.*`` (norm over the locations, two linear layers), ``aggregator.channel_proj.*``,
``aggregator.row_proj.*``. The input size is part of the weights: 320x320 for 20x20 locations of 16 pixels.
"""

from __future__ import annotations

import math

from torch import Tensor

from pocketvlad.errors import CheckpointError
from pocketvlad.importer.backbones import named_resnet, transformer, with_plain_blocks
from pocketvlad.importer.common import IMAGENET, layers_at, length_of, linear_shapes, network_of
from pocketvlad.importer.types import ImportedModel, Shape, Tensors
from pocketvlad.model.backbones.dinov2 import after_norm
from pocketvlad.model.heads.mixvpr import MixVprOptions
from pocketvlad.model.preprocess import Preprocess

LAYOUT = "amaralibey/MixVPR"
_RESNET, _DINO = "backbone.model.", "backbone.dino_model."
_MIX, _CHANNELS, _ROWS = "aggregator.mix.", "aggregator.channel_proj", "aggregator.row_proj"


def matches(tensors: Tensors) -> bool:
    return any(key.startswith((_MIX, _CHANNELS, _ROWS)) for key in tensors)


def load(tensors: Tensors) -> ImportedModel:
    """CheckpointError when a key is missing, left over or has another shape."""
    if any(key.startswith(_DINO) for key in tensors):
        tensors = with_plain_blocks(tensors, _DINO)
        found = transformer(tensors, _DINO, LAYOUT, class_token=False, last_norm=False)
    else:
        found = named_resnet(tensors, _RESNET, LAYOUT)
    mixers = len({key.removeprefix(_MIX).split(".")[0] for key in tensors if key.startswith(_MIX)})
    rows, channels = length_of(tensors, f"{_ROWS}.weight"), length_of(tensors, f"{_CHANNELS}.weight")
    locations = tensors[f"{_ROWS}.weight"].shape[-1] if rows else None
    shapes: dict[str, Shape] = linear_shapes(_CHANNELS, channels, found.channels)
    shapes |= linear_shapes(_ROWS, rows, locations)
    for number in range(mixers):
        at = f"{_MIX}{number}.mix"
        shapes |= {f"{at}.0.weight": (locations,), f"{at}.0.bias": (locations,)}
        shapes |= linear_shapes(f"{at}.1", locations, locations) | linear_shapes(
            f"{at}.3", locations, locations
        )
    found.require(tensors, LAYOUT, shapes)
    options = MixVprOptions(math.isqrt(locations or 0), mixers, channels or 0, rows or 0)
    if options.side**2 != locations:
        raise CheckpointError(
            f"this {LAYOUT} checkpoint is not for a square map", found=f"{locations} locations"
        )
    size = options.side * found.stride
    preprocess = Preprocess(size, size, IMAGENET.mean, IMAGENET.std)
    values = _values(tensors, mixers)
    return ImportedModel(network_of(found, tensors, preprocess, "mixvpr", options, values), LAYOUT)


def _values(tensors: Tensors, mixers: int) -> dict[str, Tensor]:
    """The head's, a mixer's norm in the layer behind it."""
    found = layers_at(tensors, {"channel_proj": _CHANNELS, "row_proj": _ROWS})
    for number in range(mixers):
        file, own = f"{_MIX}{number}.mix", f"mixers.{number}.mix"
        folded = after_norm(tensors, f"{file}.0", f"{file}.1")
        found |= {f"{own}.fc1.{part}": folded[f"{file}.1.{part}"] for part in ("weight", "bias")}
        found |= layers_at(tensors, {f"{own}.fc2": f"{file}.3"})
    return found

"""amaralibey/gsv-cities, ConvAP (no licence file): a user's own file, bare or of Lightning.

``backbone.model.*`` (torchvision's ResNet up to layer4, its last ReLU kept), ``aggregator.channel_pool.weight``
[C, D, 1, 1] and ``.bias`` [C]; then 2x2 cells, flattened, unit length. Input 320x320, ImageNet's mean and deviation.
"""

from __future__ import annotations

from pocketvlad.importer.backbones import named_resnet
from pocketvlad.importer.common import IMAGENET, layers_at, length_of, linear_shapes, network_of
from pocketvlad.importer.types import ImportedModel, Tensors
from pocketvlad.model.heads.convap import ConvApOptions
from pocketvlad.model.preprocess import Preprocess

LAYOUT = "amaralibey/gsv-cities ConvAP"
CELLS = "the checkpoint does not name its grid: 2x2 cells are assumed"
_POOL = "aggregator.channel_pool"


def matches(tensors: Tensors) -> bool:
    return any(key.startswith(f"{_POOL}.") for key in tensors)


def load(tensors: Tensors) -> ImportedModel:
    """CheckpointError when a key is missing, left over or has another shape."""
    found = named_resnet(tensors, "backbone.model.", LAYOUT)
    channels = length_of(tensors, f"{_POOL}.weight")
    found.require(tensors, LAYOUT, linear_shapes(_POOL, channels, found.channels, 1, 1))
    preprocess = Preprocess(320, 320, IMAGENET.mean, IMAGENET.std)
    values = layers_at(tensors, {"channel_pool": _POOL})
    model = network_of(found, tensors, preprocess, "convap", ConvApOptions(channels or 0), values)
    return ImportedModel(model, LAYOUT, (CELLS,))

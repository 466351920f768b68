"""torchvision's classifiers and their features alone: a backbone, which a fit makes a model of.

Keys ``features.*`` (+ ``classifier.*``) of alexnet, vgg16, squeezenet1_1 and the MobileNets; ``conv1.*``,
``layerN.*`` (+ ``fc.*``) of the ResNets. Input RGB / 255 with ImageNet's mean and deviation.
"""

from __future__ import annotations

from functools import cache

import torch
import torchvision

from pocketvlad.errors import CheckpointError
from pocketvlad.importer.types import BackboneWeights, ImportedModel, Shape, Tensors, differences, require
from pocketvlad.model.backbones import CLASSIFIERS, split_classifier
from pocketvlad.model.backbones.values import COUNTER
from pocketvlad.model.heads.scores import Scores, ScoresOptions
from pocketvlad.model.network import Network, NetworkConfig
from pocketvlad.model.preprocess import Preprocess

LAYOUT = "torchvision"
_PREFIXES = ("features.", "classifier.", "conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.", "fc.")
_HEADS = ("classifier.", "fc.")
CLASSIFIER_INPUT = Preprocess(224, 224)


def matches(tensors: Tensors) -> bool:
    return any(key.startswith(_PREFIXES) for key in tensors)


def load(tensors: Tensors) -> ImportedModel:
    """CheckpointError when the file is nearly one of the networks, saying what differs."""
    name = _nearest(tensors)
    shapes = network_shapes(name)
    features = {key: shape for key, shape in shapes.items() if not key.startswith(_HEADS)}
    layout = f"{LAYOUT} {name}"
    head = any(key.startswith(_HEADS) for key in tensors)
    counters = [key for key in tensors if key.endswith(COUNTER)]
    require(tensors, layout, shapes if head else features, counters)
    classes = len(tensors[_last_key(shapes)]) if head else None
    weights = {key: value for key, value in tensors.items() if key not in counters}
    notes = () if head else ("the features alone, without a classifier",)
    return ImportedModel(None, layout, notes, BackboneWeights(name, weights, classes))


@cache
def network_shapes(name: str) -> dict[str, Shape]:
    """Shapes of a classifier's tensors by key; the number of classes may be any."""
    with torch.device("meta"):
        state = getattr(torchvision.models, name)(weights=None).state_dict()
    shapes: dict[str, Shape] = {
        key: tuple(value.shape) for key, value in state.items() if not key.endswith(COUNTER)
    }
    last = _last_key(shapes).removesuffix(".weight")
    for key in (f"{last}.weight", f"{last}.bias"):
        shapes[key] = (None, *shapes[key][1:])
    return shapes


def _last_key(shapes: dict[str, Shape]) -> str:
    return [key for key in shapes if key.startswith(_HEADS) and key.endswith(".weight")][-1]


def _nearest(tensors: Tensors) -> str:
    """The network whose tensors the file has most of, counted against those that differ."""

    def distance(name: str) -> int:
        shapes = {key: shape for key, shape in network_shapes(name).items() if not key.startswith(_HEADS)}
        extra = sum(key not in shapes and not key.startswith(_HEADS) for key in tensors)
        return len(differences(tensors, shapes)) + extra

    return min(CLASSIFIERS, key=distance)


def build_classifier(backbone: BackboneWeights) -> Network:
    """The whole network in eval mode, batch norm folded: float32 [B, 3, H, W] -> scores [B, classes].

    Raises:
        CheckpointError: the file held the features alone.
    """
    if backbone.classes is None:
        raise CheckpointError(
            f"these weights of {backbone.name} hold no classifier",
            found="the features alone",
            allowed="torchvision's whole state dict",
        )
    options = ScoresOptions(backbone.name, backbone.classes)
    config = NetworkConfig(backbone.name, CLASSIFIER_INPUT, "scores", options)
    features, layers = split_classifier(backbone.name, backbone.classes, backbone.weights)
    head = Scores(config.channels, options)
    head.layers = layers
    return Network(config, features, head).eval()

"""gmberton/CosPlace and gmberton/EigenPlaces (MIT), whose files have the same keys.

``backbone.N.*`` (places in a sequence: VGG16's convolutions, or a ResNet's stages), ``aggregation.1.p`` [1],
``aggregation.3.weight`` [dim, D] and ``.bias`` [dim]: L2 norm, GeM, linear layer, L2 norm. Any input size; ImageNet's
mean and deviation.
"""

from __future__ import annotations

from pocketvlad.errors import CheckpointError
from pocketvlad.importer.backbones import numbered
from pocketvlad.importer.common import IMAGENET, NO_SIZE, layers_at, length_of, linear_shapes, network_of
from pocketvlad.importer.types import ImportedModel, Tensors
from pocketvlad.model.heads.gem import GemOptions

LAYOUT = "gmberton/CosPlace or EigenPlaces"
_EFFICIENTNET = (
    "backbone.0.0.0.weight"  # its first convolution; torchvision keeps all its features in one child
)
_POWER, _LINEAR = "aggregation.1.p", "aggregation.3"


def matches(tensors: Tensors) -> bool:
    return any(key.startswith(f"{_LINEAR}.") for key in tensors)


def load(tensors: Tensors) -> ImportedModel:
    """CheckpointError when a key is missing, left over or has another shape."""
    _refuse_efficientnet(tensors)
    found = numbered(tensors, "backbone.", LAYOUT, resnets=True)
    dim = length_of(tensors, f"{_LINEAR}.weight")
    found.require(tensors, LAYOUT, {_POWER: (1,), **linear_shapes(_LINEAR, dim, found.channels)})
    options = GemOptions(dim or 0, float(tensors[_POWER]))
    values = layers_at(tensors, {"linear": _LINEAR})
    return ImportedModel(network_of(found, tensors, IMAGENET, "gem", options, values), LAYOUT, (NO_SIZE,))


def _refuse_efficientnet(tensors: Tensors) -> None:
    if _EFFICIENTNET in tensors:
        raise CheckpointError(
            f"the backbone of this {LAYOUT} checkpoint is not supported",
            found="an EfficientNet",
            allowed="VGG16 or a ResNet",
        )

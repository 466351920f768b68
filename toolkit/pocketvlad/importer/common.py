"""What the PyTorch layouts share: convolutions, a soft assignment, centres and a PCA under various keys."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from pocketvlad.errors import CheckpointError
from pocketvlad.importer.types import ImportedModel, Shape, Tensors, require
from pocketvlad.model.backbones import backbone_spec, build_backbone
from pocketvlad.model.netvlad import ModelConfig, PlaceModel
from pocketvlad.model.preprocess import Preprocess

IMAGENET = Preprocess(480, 640)  # RGB / 255, ImageNet's mean and deviation
_BY_FIRST_CONVOLUTION = {(64, 3, 3, 3): "vgg16", (64, 3, 11, 11): "alexnet"}


@dataclass(frozen=True)
class NetVladKeys:
    """Where a layout keeps what.

    Attributes:
        layout: its name for people.
        backbone: prefix of the convolutions' keys.
        assignment: prefix of the soft assignment's ``weight`` [K, D, 1, 1] and optional ``bias`` [K].
        centroids: key of the centres [K, D].
        whitening: prefix of ``weight`` and ``bias`` [P], or None for a layout without one.
        whitening_axes: dimensions of the whitening's weight: 4 for [P, K * D, 1, 1], 2 for [P, K * D].
        preprocess: from a photo to the input.
    """

    layout: str
    backbone: str
    assignment: str
    centroids: str
    whitening: str | None
    whitening_axes: int = 4
    preprocess: Preprocess = IMAGENET


@cache
def backbone_shapes(name: str) -> dict[str, Shape]:
    """Shapes of a backbone's tensors by their keys in it, without allocating them."""
    spec = backbone_spec(name)
    with torch.device("meta"):
        state = spec.cut(spec.build()).state_dict()
    return {
        key: tuple(value.shape) for key, value in state.items() if not key.endswith("num_batches_tracked")
    }


def load_netvlad(tensors: Tensors, keys: NetVladKeys, notes: tuple[str, ...] = ()) -> ImportedModel:
    """A model from a file of this layout, flatten order k * D + d.

    Raises:
        CheckpointError: naming every key that is missing, of another shape or left over.
    """
    name = _backbone_name(tensors, keys)
    channels = backbone_spec(name).channels
    clusters = _length(tensors, keys.centroids)
    bias = tensors.get(f"{keys.assignment}.bias")
    dim = _length(tensors, f"{keys.whitening}.weight") if keys.whitening else None
    shapes: dict[str, Shape] = {
        f"{keys.backbone}{key}": shape for key, shape in backbone_shapes(name).items()
    }
    shapes |= {keys.centroids: (clusters, channels), f"{keys.assignment}.weight": (clusters, channels, 1, 1)}
    if bias is not None:
        shapes[f"{keys.assignment}.bias"] = (clusters,)
    if keys.whitening:
        columns = clusters * channels if clusters else None
        shapes[f"{keys.whitening}.weight"] = (dim, columns, 1, 1)[: keys.whitening_axes]
        shapes[f"{keys.whitening}.bias"] = (dim,)
    require(tensors, keys.layout, shapes)
    weights = {key: tensors[f"{keys.backbone}{key}"] for key in backbone_shapes(name)}
    config = ModelConfig(name, len(tensors[keys.centroids]), dim, keys.preprocess, bias is not None)
    model = PlaceModel(config, build_backbone(name, weights)).eval()
    fill_pool(model, tensors[f"{keys.assignment}.weight"], bias, tensors[keys.centroids])
    if model.whitening is not None and keys.whitening:
        weight = tensors[f"{keys.whitening}.weight"].flatten(1)
        fill_whitening(model.whitening, weight, tensors[f"{keys.whitening}.bias"])
    return ImportedModel(model, keys.layout, notes)


def _length(tensors: Tensors, key: str) -> int | None:
    """Length of a tensor's first axis, None when there is no such tensor."""
    return len(tensors[key]) if key in tensors and tensors[key].ndim else None


def _backbone_name(tensors: Tensors, keys: NetVladKeys) -> str:
    """alexnet or vgg16 by the first convolution's shape [O, 3, k, k]."""
    first = f"{keys.backbone}0.weight"
    require_first: dict[str, Shape] = {first: (None, 3, None, None)}
    require({key: value for key, value in tensors.items() if key == first}, keys.layout, require_first)
    shape = tuple(tensors[first].shape)
    if shape not in _BY_FIRST_CONVOLUTION:
        raise CheckpointError(
            f"the backbone of this {keys.layout} checkpoint is unknown",
            found=f"a first convolution of {shape[0]} filters {shape[2]}x{shape[3]}",
            allowed="vgg16 (64 of 3x3) or alexnet (64 of 11x11)",
        )
    return _BY_FIRST_CONVOLUTION[shape]


def fill_pool(model: PlaceModel, weight: Tensor, bias: Tensor | None, centroids: Tensor) -> None:
    """Soft assignment [K, D, 1, 1] with its optional bias [K], and the cluster centres [K, D]."""
    with torch.no_grad():
        model.pool.assignment.weight.copy_(weight)
        model.pool.centroids.copy_(centroids)
        if bias is not None and model.pool.assignment.bias is not None:
            model.pool.assignment.bias.copy_(bias)


def fill_whitening(layer: torch.nn.Linear, weight: Tensor, bias: Tensor) -> None:
    """Whitening [P, K * D] in flatten order k * D + d, and its bias [P]."""
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)

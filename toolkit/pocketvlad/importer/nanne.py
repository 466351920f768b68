"""Nanne/pytorch-NetVlad ``.pth.tar`` and QVPR/Patch-NetVLAD, which adds ``WPCA.0``.

Keys: ``encoder.N.*`` (torchvision's ``features.N.*``), ``pool.conv.weight`` [K, D, 1, 1],
``pool.conv.bias`` [K] for "vladv2" only, ``pool.centroids`` [K, D], ``WPCA.0.weight`` [P, K * D, 1, 1] and
``WPCA.0.bias`` [P]. Flatten order k * D + d, input RGB / 255 with ImageNet's mean and deviation.
"""

from __future__ import annotations

import torch

from pocketvlad.importer.types import ImportedModel, Tensors, backbone_of, require
from pocketvlad.model.backbones import backbone_spec, build_backbone
from pocketvlad.model.netvlad import ModelConfig, PlaceModel
from pocketvlad.model.preprocess import Preprocess

PREFIX = "encoder."


def matches(tensors: Tensors) -> bool:
    return "encoder.0.weight" in tensors and any(key.startswith("pool.") for key in tensors)


def load(tensors: Tensors) -> ImportedModel:
    """CheckpointError when a key is missing or has another shape."""
    whitened = any(key.startswith("WPCA.") for key in tensors)
    layout = "Patch-NetVLAD" if whitened else "Nanne/pytorch-NetVlad"
    require(tensors, layout, {"encoder.0.weight": (None, 3, None, None), "pool.centroids": (None, None)})
    name = backbone_of(tensors["encoder.0.weight"], layout)
    clusters, channels = len(tensors["pool.centroids"]), backbone_spec(name).channels
    shapes: dict[str, tuple[int | None, ...]] = {
        "pool.centroids": (clusters, channels),
        "pool.conv.weight": (clusters, channels, 1, 1),
    }
    if whitened:
        shapes |= {"WPCA.0.weight": (None, clusters * channels, 1, 1), "WPCA.0.bias": (None,)}
    has_bias = "pool.conv.bias" in tensors
    require(tensors, layout, shapes | ({"pool.conv.bias": (clusters,)} if has_bias else {}))
    features = {key.removeprefix(PREFIX): value for key, value in tensors.items() if key.startswith(PREFIX)}
    dim = len(tensors["WPCA.0.weight"]) if whitened else None
    config = ModelConfig(name, clusters, dim, Preprocess(480, 640), has_bias)
    model = PlaceModel(config, build_backbone(name, features)).eval()
    fill_pool(model, tensors["pool.conv.weight"], tensors.get("pool.conv.bias"), tensors["pool.centroids"])
    if model.whitening is not None:
        fill_whitening(model.whitening, tensors["WPCA.0.weight"].flatten(1), tensors["WPCA.0.bias"])
    return ImportedModel(model, layout)


def fill_pool(
    model: PlaceModel, weight: torch.Tensor, bias: torch.Tensor | None, centroids: torch.Tensor
) -> None:
    """Soft assignment [K, D, 1, 1] with its optional bias [K], and the cluster centres [K, D]."""
    with torch.no_grad():
        model.pool.assignment.weight.copy_(weight)
        model.pool.centroids.copy_(centroids)
        if bias is not None and model.pool.assignment.bias is not None:
            model.pool.assignment.bias.copy_(bias)


def fill_whitening(layer: torch.nn.Linear, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Whitening [P, K * D] in flatten order k * D + d, and its bias [P]."""
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)

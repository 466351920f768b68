"""Relja/netvlad ``.mat`` (v5 or v7.3), class objects made structs, as Hierarchical-Localization reads it.

``net.layers`` is a cell of structs. Convolutions keep ``weights`` {H x W x in x out, bias}; VGG16's layer 31
(30 counted from 0) is VLAD: soft assignment [D, K] and MINUS the centres [D, K], or with three weights
("vladv2") assignment, its bias [K], minus the centres; layer 34 (33) is the WPCA [K * D, P] with its bias.
Flatten order d * K + k there, k * D + d here. Input RGB 0..255 minus ``meta.normalization.averageImage``.
AlexNet is the Caffe reference network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pocketvlad.errors import CheckpointError
from pocketvlad.importer.backbones import backbone_shapes
from pocketvlad.importer.common import NO_SIZE, Pool, netvlad_network
from pocketvlad.importer.types import ImportedModel, shape_text
from pocketvlad.model.preprocess import Preprocess

LAYOUT = "Relja/netvlad"
NETWORKS = ("vgg16", "alexnet_caffe")
_CLASS_OBJECTS = (
    "save the network with struct(layer) for every layer, as netvlad_tf_open's net_class2struct.m does"
)
FULL_MEAN = "the average image has a size: its mean per channel is used"


@dataclass(frozen=True)
class _Layer:
    """One layer that has weights: its 0-based number, name and arrays."""

    number: int
    name: str
    weights: list[np.ndarray]


def matches(content: Mapping[str, Any]) -> bool:
    return isinstance(content.get("net"), dict)


def load(content: Mapping[str, Any]) -> ImportedModel:
    """CheckpointError when layers are missing, of other shapes, or saved as class objects."""
    net = content["net"]
    layers = net.get("layers")
    if not isinstance(layers, list) or not layers:
        raise _differs("no cell 'net.layers'")
    _refuse_objects(layers)
    with_weights = [layer for layer in map(_layer, range(len(layers)), layers) if layer]
    at = next((i for i, layer in enumerate(with_weights) if _is_vlad(layer)), None)
    if at is None:
        raise _differs("no VLAD layer, of two weights of D x K")
    convolutions, vlad, rest = with_weights[:at], with_weights[at], with_weights[at + 1 :]
    if not _normalised_before(layers, vlad.number):
        raise _differs("no L2 normalisation ('preL2') before the VLAD layer")
    name, weights = _backbone(convolutions)
    assignment, bias, centroids = _pool(vlad, name)
    clusters, channels = centroids.shape
    whitening = _whitening(rest, clusters, channels)
    mean, notes = _mean(net)
    preprocess = Preprocess(480, 640, mean, (1 / 255,) * 3)
    pool = Pool(assignment[:, :, None, None], bias, centroids)
    model = netvlad_network(name, preprocess, weights, pool, whitening)
    return ImportedModel(model, LAYOUT, (NO_SIZE, *notes))


def _differs(found: str, allowed: str | None = None) -> CheckpointError:
    return CheckpointError(f"this is nearly a {LAYOUT} checkpoint", found=found, allowed=allowed)


def _refuse_objects(layers: Sequence[Any]) -> None:
    objects = [number for number, layer in enumerate(layers, 1) if not isinstance(layer, dict)]
    if objects:
        raise CheckpointError(
            f"layer {objects[0]} of this {LAYOUT} checkpoint is a MATLAB class object",
            allowed="structs",
            do=_CLASS_OBJECTS,
        )


def _layer(number: int, layer: dict[str, Any]) -> _Layer | None:
    weights = layer.get("weights")
    arrays = [np.asarray(item) for item in weights] if isinstance(weights, list) else []
    if not arrays:
        return None
    name = str(layer.get("name", ""))
    if not all(array.dtype.kind == "f" and array.size and np.isfinite(array).all() for array in arrays):
        raise _differs(f"weights of layer {number + 1} {name!r} that are not finite numbers")
    return _Layer(number, name, arrays)


def _is_vlad(layer: _Layer) -> bool:
    """Soft assignment first and centres last have one shape, [D, K] or [1, 1, D, K]."""
    first, last = layer.weights[0], layer.weights[-1]
    return len(layer.weights) in (2, 3) and first.shape == last.shape and first.squeeze().ndim == 2


def _normalised_before(layers: Sequence[dict[str, Any]], number: int) -> bool:
    return number > 0 and layers[number - 1].get("type") in ("normalize", "lrn")


def _backbone(convolutions: Sequence[_Layer]) -> tuple[str, dict[str, Tensor]]:
    """The network whose convolutions these are, and their weights under its keys."""
    found = [_filters(layer) for layer in convolutions]
    shapes = [tuple(weight.shape) for weight, _ in found]
    for name in NETWORKS:
        keys = [key for key, shape in backbone_shapes(name).items() if len(shape) == 4]
        wanted = [backbone_shapes(name)[key] for key in keys]
        if wanted[:1] != shapes[:1]:
            continue
        if len(wanted) != len(shapes):
            raise _differs(f"{len(shapes)} convolutions", f"{len(wanted)} of {name}")
        for layer, shape, expected in zip(convolutions, shapes, wanted, strict=True):
            if shape != expected:
                raise _differs(f"{layer.name!r} of shape {shape_text(shape)}", shape_text(expected))
        weights = dict(zip(keys, [weight for weight, _ in found], strict=True))
        weights |= {key.replace(".weight", ".bias"): bias for key, (_, bias) in zip(keys, found, strict=True)}
        return name, weights
    first = shape_text(shapes[0]) if shapes else "no convolution"
    raise _differs(
        f"a first convolution of {first}", "vgg16 (64x3x3x3) or the Caffe reference net (96x3x11x11)"
    )


def _filters(layer: _Layer) -> tuple[Tensor, Tensor]:
    """H x W x in x out -> [out, in, H, W], and the bias [out]."""
    if len(layer.weights) != 2 or layer.weights[0].ndim != 4:
        shapes = ", ".join(shape_text(weight.shape) for weight in layer.weights)
        raise _differs(f"{layer.name!r} with weights {shapes}", "a filter bank of 4 axes and a bias")
    filters, bias = (_tensor(weight) for weight in layer.weights)
    if bias.numel() != filters.shape[3]:
        raise _differs(f"{layer.name!r} with {bias.numel()} biases", f"{filters.shape[3]}")
    return filters.permute(3, 2, 0, 1).contiguous(), bias.flatten()


def _pool(vlad: _Layer, name: str) -> tuple[Tensor, Tensor | None, Tensor]:
    """Soft assignment [K, D], its bias [K] or None, centres [K, D]."""
    channels = int(backbone_shapes(name)[_last_bias(name)][0] or 0)
    assignment, centres = (_tensor(weight).squeeze() for weight in (vlad.weights[0], vlad.weights[-1]))
    if assignment.shape[0] != channels:
        raise _differs(f"a VLAD layer of {shape_text(assignment.shape)}", f"{channels} x K after {name}")
    bias = _tensor(vlad.weights[1]).flatten() if len(vlad.weights) == 3 else None
    if bias is not None and len(bias) != assignment.shape[1]:
        raise _differs(f"{len(bias)} biases in the VLAD layer", f"{assignment.shape[1]}")
    return assignment.T, bias, -centres.T


def _last_bias(name: str) -> str:
    return list(backbone_shapes(name))[-1]


def _whitening(layers: Sequence[_Layer], clusters: int, channels: int) -> tuple[Tensor, Tensor] | None:
    """[P, K * D] in order k * D + d, and the bias [P]; None for a network without WPCA."""
    if not layers:
        return None
    if len(layers) > 1 or len(layers[0].weights) != 2:
        raise _differs(f"{len(layers)} layers with weights after the VLAD layer", "at most one, the WPCA")
    matrix, bias = (_tensor(weight) for weight in layers[0].weights)
    matrix, bias = matrix.reshape(-1, bias.numel()), bias.flatten()
    if matrix.shape[0] != clusters * channels:
        raise _differs(f"a WPCA of {matrix.shape[0]} columns", f"{clusters * channels}")
    by_cluster = matrix.T.reshape(len(bias), channels, clusters).transpose(1, 2)
    return by_cluster.reshape(len(bias), -1), bias


def _mean(net: Mapping[str, Any]) -> tuple[tuple[float, float, float], tuple[str, ...]]:
    """Mean colour as a share of 255, and what was assumed."""
    average: Any = net
    for key in ("meta", "normalization", "averageImage"):
        average = average.get(key) if isinstance(average, Mapping) else None
    values = np.asarray(average, np.float64) if isinstance(average, np.ndarray) else np.zeros(0)
    if values.size == 0 or values.size % 3 or (values.size > 3 and values.shape[-1] != 3):
        raise _differs("no 'net.meta.normalization.averageImage' of 3 channels")
    red, green, blue = (values.reshape(-1, 3).mean(axis=0) / 255).tolist()
    return (red, green, blue), ((FULL_MEAN,) if values.size > 3 else ())


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))

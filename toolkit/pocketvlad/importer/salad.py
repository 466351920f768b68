"""SALAD (serizba/salad, GPL-3.0; CliqueMining has the same layout), bare or of Lightning, and MegaLoc's variant.

``backbone.model.*`` (DINOv2 with its last norm), ``aggregator.token_features.{0,2}.*``,
``aggregator.cluster_features.{0,3}.*`` and ``aggregator.score.{0,3}.*`` (1x1 convolutions), ``aggregator.dust_bin``
(one number). Any input of whole patches of which there are more than clusters; 322x322 is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pocketvlad.importer.backbones import FoundBackbone, transformer, with_plain_blocks
from pocketvlad.importer.common import IMAGENET, layers_at, length_of, linear_shapes, network_of
from pocketvlad.importer.types import ImportedModel, Shape, Tensors
from pocketvlad.model.backbones.dinov2 import PATCH, Size
from pocketvlad.model.heads.salad import SaladOptions
from pocketvlad.model.preprocess import Preprocess

LAYOUT = "serizba/salad"
SIZE = (322, 322)
_LAYERS = {"token_features": (0, 2), "cluster_features": (0, 3), "score": (0, 3)}  # their places in the file


@dataclass(frozen=True)
class SaladKeys:
    """Where a layout keeps what.

    Attributes:
        layout: its name for people.
        backbone, head: prefixes of their keys.
        linear: of the layer behind the head; None: there is none.
    """

    layout: str
    backbone: str
    head: str
    linear: str | None = None


KEYS = SaladKeys(LAYOUT, "backbone.model.", "aggregator.")


def matches(tensors: Tensors) -> bool:
    return has_head(tensors, KEYS.head)


def has_head(tensors: Tensors, head: str) -> bool:
    """Whether a file has something of SALAD's head under this prefix."""
    parts = tuple(f"{head}{name}." for name in _LAYERS)
    return any(key.startswith(parts) or key == f"{head}dust_bin" for key in tensors)


def load(tensors: Tensors, size: Size = SIZE) -> ImportedModel:
    """CheckpointError when a key is missing, left over or has another shape; RecipeError for an impossible size."""
    return load_salad(tensors, KEYS, size)


def load_salad(tensors: Tensors, keys: SaladKeys, size: Size) -> ImportedModel:
    """A model of SALAD's head from a file of these keys, for one input size."""
    tensors = with_plain_blocks(tensors, keys.backbone)
    found = transformer(tensors, keys.backbone, keys.layout, class_token=True, last_norm=True)
    options = _options(tensors, keys, size)
    found.require(tensors, keys.layout, _shapes(found, keys, options))
    preprocess = Preprocess(*size, IMAGENET.mean, IMAGENET.std)
    model = network_of(found, tensors, preprocess, "salad", options, _values(tensors, keys, options))
    return ImportedModel(model, keys.layout)


def _options(tensors: Tensors, keys: SaladKeys, size: Size) -> SaladOptions:
    """From the lengths of its layers, 0 where one is missing."""

    def outputs(layer: str) -> int:
        return length_of(tensors, f"{keys.head}{layer}.weight") or 0

    return SaladOptions(
        (size[0] // PATCH) * (size[1] // PATCH),
        outputs("score.3"),
        outputs("cluster_features.3"),
        outputs("token_features.2"),
        outputs("score.0"),
        (length_of(tensors, f"{keys.linear}.weight") or 0) if keys.linear else 0,
    )


def _shapes(found: FoundBackbone, keys: SaladKeys, options: SaladOptions) -> dict[str, Shape]:
    hidden, wanted = options.hidden or None, dict[str, Shape]()
    outputs = {
        "token_features": options.token_dim,
        "cluster_features": options.cluster_dim,
        "score": options.clusters,
    }
    for name, (first, second) in _LAYERS.items():
        after = () if name == "token_features" else (1, 1)
        wanted |= linear_shapes(f"{keys.head}{name}.{first}", hidden, found.channels, *after)
        wanted |= linear_shapes(f"{keys.head}{name}.{second}", outputs[name] or None, hidden, *after)
    wanted[f"{keys.head}dust_bin"] = ()
    if keys.linear:
        width = options.token_dim + options.cluster_dim * options.clusters
        wanted |= linear_shapes(keys.linear, options.dim or None, width)
    return wanted


def _values(tensors: Tensors, keys: SaladKeys, options: SaladOptions) -> dict[str, Tensor]:
    places = {f"{name}.0": f"{keys.head}{name}.{first}" for name, (first, _) in _LAYERS.items()}
    places |= {f"{name}.2": f"{keys.head}{name}.{second}" for name, (_, second) in _LAYERS.items()}
    if keys.linear:
        places["linear"] = keys.linear
    added = torch.zeros(1, options.clusters + 1, 1)
    added[:, -1] = tensors[f"{keys.head}dust_bin"]
    return layers_at(tensors, places) | {"dust_bin": added}

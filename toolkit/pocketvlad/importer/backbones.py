"""Which backbone a checkpoint has, and where its tensors are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from torch import Tensor, nn

from pocketvlad.errors import CheckpointError
from pocketvlad.importer.types import Shape, Tensors, require, require_first
from pocketvlad.model.backbones import BACKBONES, backbone_spec, build_backbone, plain_backbone
from pocketvlad.model.backbones.dinov2 import SIZES, UNUSED, Size, TransformerSpec, plain_blocks, shapes
from pocketvlad.model.backbones.values import COUNTER

_BY_FIRST_CONVOLUTION = {(64, 3, 3, 3): "vgg16", (64, 3, 11, 11): "alexnet"}
_RESNET_CONVOLUTION = (64, 3, 7, 7)
# whether its blocks have three convolutions, and how many blocks its third stage has
_RESNETS = {
    (False, 2): "resnet18",
    (False, 6): "resnet34",
    (True, 6): "resnet50",
    (True, 23): "resnet101",
    (True, 36): "resnet152",
}
_NARROW = 64  # filters of the first convolution in a ResNet's first block
_STAGES = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}


@dataclass(frozen=True)
class FoundBackbone:
    """A checkpoint's backbone.

    Attributes:
        name: a key of :data:`pocketvlad.model.backbones.BACKBONES`.
        keys: of each of its tensors in the file, by the backbone's own.
        shapes: wanted, by the file's key.
        last_activation: whether what follows its last layer is part of the network.
        optional: keys that may be there and are not used.
    """

    name: str
    keys: Mapping[str, str]
    shapes: Mapping[str, Shape]
    last_activation: bool
    optional: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        return backbone_spec(self.name).channels

    @property
    def stride(self) -> int:
        return backbone_spec(self.name).stride

    def require(self, tensors: Tensors, layout: str, head: Mapping[str, Shape]) -> None:
        """Refuse a file of ``layout`` that has not exactly these tensors and those of ``head``.

        Raises:
            CheckpointError: naming what is missing, of another shape or left over.
        """
        counters = [key for key in tensors if key.endswith(COUNTER)]
        require(tensors, layout, {**self.shapes, **head}, [*self.optional, *counters])

    def weights(self, tensors: Tensors) -> dict[str, Tensor]:
        """Its tensors under its own keys."""
        return {own: tensors[key] for own, key in self.keys.items()}

    def build(self, tensors: Tensors, size: Size) -> nn.Module:
        """The backbone with the file's values, for this input size."""
        return build_backbone(
            self.name, self.weights(tensors), last_activation=self.last_activation, size=size
        )


@cache
def backbone_shapes(name: str) -> dict[str, Shape]:
    """Shapes of a convolutional backbone's tensors by their keys in it, without allocating them."""
    state = plain_backbone(name).state_dict()
    return {key: tuple(value.shape) for key, value in state.items() if not key.endswith(COUNTER)}


def numbered(tensors: Tensors, prefix: str, layout: str, *, resnets: bool = False) -> FoundBackbone:
    """VGG16, AlexNet or, if ``resnets``, a ResNet whose layers have their places in a sequence as names.

    A ResNet's last ReLU stays, as it is inside the last block; the others end in their last convolution.

    Raises:
        CheckpointError: the first convolution is of none of them.
    """
    first = f"{prefix}0.weight"
    require_first(tensors, layout, first, (None, 3, None, None), rf"{re.escape(prefix)}\d")
    shape = tuple(tensors[first].shape)
    if shape == _RESNET_CONVOLUTION and resnets:
        return _resnet(tensors, prefix, layout, _STAGES)
    if shape not in _BY_FIRST_CONVOLUTION:
        allowed = "vgg16 (64 of 3x3) or alexnet (64 of 11x11)"
        raise CheckpointError(
            f"the backbone of this {layout} checkpoint is unknown",
            found=f"a first convolution of {shape[0]} filters {shape[2]}x{shape[3]}",
            allowed=f"{allowed}, or a ResNet (64 of 7x7)" if resnets else allowed,
        )
    return _found(_BY_FIRST_CONVOLUTION[shape], prefix, {}, last_activation=False)


def named_resnet(tensors: Tensors, prefix: str, layout: str) -> FoundBackbone:
    """A ResNet under torchvision's names, its last ReLU kept.

    Raises:
        CheckpointError: it has no first convolution, or stages of no ResNet.
    """
    first = f"{prefix}conv1.weight"
    require_first(tensors, layout, first, _RESNET_CONVOLUTION, rf"{re.escape(prefix)}layer\d")
    return _resnet(tensors, prefix, layout, {name: name for name in _STAGES})


def _resnet(tensors: Tensors, prefix: str, layout: str, stages: Mapping[str, str]) -> FoundBackbone:
    third = f"{prefix}{stages['layer3']}."
    blocks = {key.removeprefix(third).split(".")[0] for key in tensors if key.startswith(third)}
    bottleneck = f"{prefix}{stages['layer1']}.0.conv3.weight" in tensors
    name = _RESNETS.get((bottleneck, len(blocks)))
    if name is None:
        raise CheckpointError(
            f"the backbone of this {layout} checkpoint is unknown",
            found=f"a ResNet of {len(blocks)} blocks in its third stage",
            allowed=", ".join(_RESNETS.values()),
        )
    _refuse_wide(tensors, f"{prefix}{stages['layer1']}.0.conv1.weight", layout)
    whole = any(key.startswith(f"{prefix}{stages['layer4']}.") for key in tensors)
    return _found(name if whole else f"{name}_layer3", prefix, stages, last_activation=True)


def _refuse_wide(tensors: Tensors, key: str, layout: str) -> None:
    """Wide and grouped ResNets have the keys of ResNet50 or 101; the first convolution of a block tells them apart."""
    filters = len(tensors[key]) if key in tensors and tensors[key].ndim else 0
    if filters > _NARROW:
        raise CheckpointError(
            f"the backbone of this {layout} checkpoint is not supported",
            found=f"a wide or grouped ResNet, whose first block has {filters} filters instead of {_NARROW}",
            allowed=", ".join(_RESNETS.values()),
        )


def _found(name: str, prefix: str, stages: Mapping[str, str], *, last_activation: bool) -> FoundBackbone:
    wanted, keys = backbone_shapes(name), {}
    for own in wanted:
        first, dot, rest = own.partition(".")
        keys[own] = f"{prefix}{stages.get(first, first)}{dot}{rest}"
    return FoundBackbone(name, keys, {keys[own]: shape for own, shape in wanted.items()}, last_activation)


def transformer(
    tensors: Tensors, prefix: str, layout: str, *, class_token: bool, last_norm: bool
) -> FoundBackbone:
    """One of DINOv2's transformers; ``tensors`` of :func:`with_plain_blocks`.

    Args:
        tensors: of the file.
        prefix: of the transformer's keys.
        layout: for people.
        class_token: whether the head reads it.
        last_norm: whether the head reads what the last norm gives; else the norm may be there or not.

    Raises:
        CheckpointError: it is none of them.
    """
    token = f"{prefix}cls_token"
    require_first(tensors, layout, token, (1, 1, None), rf"{re.escape(prefix)}blocks\.")
    starts = f"{prefix}blocks."
    blocks = {key.removeprefix(starts).split(".")[0] for key in tensors if key.startswith(starts)}
    width, registers = tensors[token].shape[2], 4 if f"{prefix}register_tokens" in tensors else 0
    wanted = (width, len(blocks), registers, class_token)
    name = next((name for name, spec in BACKBONES.items() if _like(spec) == wanted), None)
    if name is None:
        gated = any(".mlp.w12." in key for key in tensors)
        raise CheckpointError(
            f"the transformer of this {layout} checkpoint is unknown",
            found=f"{len(blocks)} blocks of width {width}{' with gated layers (ViT-g)' if gated else ''}",
            allowed=", ".join(f"{depth} of {width} ({name})" for name, (width, depth, _) in SIZES.items()),
        )
    spec = backbone_spec(name)
    assert isinstance(spec, TransformerSpec)
    needed = shapes(spec, last_norm=last_norm)
    unused = [*UNUSED, *(() if last_norm else ("norm.weight", "norm.bias"))]
    return FoundBackbone(
        name,
        {key: f"{prefix}{key}" for key in needed},
        {f"{prefix}{key}": shape for key, shape in needed.items()},
        last_norm,
        tuple(f"{prefix}{key}" for key in unused),
    )


def _like(spec: object) -> tuple[int, int, int, bool] | None:
    if not isinstance(spec, TransformerSpec):
        return None
    return spec.channels, spec.depth, spec.registers, spec.class_token


def with_plain_blocks(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """The tensors with a transformer's chunks of blocks under this prefix opened."""
    inside = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    rest = {key: value for key, value in tensors.items() if not key.startswith(prefix)}
    return rest | {f"{prefix}{key}": value for key, value in plain_blocks(inside).items()}

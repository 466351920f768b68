"""Convolutional backbones, cut at their last convolution (before its activation), batch norm folded in.

State-dict keys are torchvision's, so ``backbone.N...`` here is ``features.N...`` there; ResNet keeps its
own module names. Weights are never downloaded: ``weights`` is a state dict the caller read from a file.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torchvision
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pocketvlad.errors import CheckpointError
from pocketvlad.model.caffe import CaffeNet

T = TypeVar("T", bound=nn.Module)


@dataclass(frozen=True)
class BackboneSpec:
    """How a torchvision classifier becomes a backbone.

    Attributes:
        build: the classifier, random weights.
        channels: D, of the last convolution.
        cut: from the classifier to the backbone, in place.
        prefix: of the backbone's keys in the classifier's state dict.
    """

    build: Callable[[], nn.Module]
    channels: int
    cut: Callable[[Any], nn.Sequential]
    prefix: str = "features."


def _classifier(name: str) -> Callable[[], nn.Module]:
    return lambda: getattr(torchvision.models, name)(weights=None)


def _features(end: int) -> Callable[[Any], nn.Sequential]:
    return lambda model: nn.Sequential(OrderedDict(list(model.features.named_children())[:end]))


def _cut_squeezenet(model: Any) -> nn.Sequential:
    features = model.features
    features[-1].expand1x1_activation = nn.Identity()
    features[-1].expand3x3_activation = nn.Identity()
    return features


def _cut_mobilenet(model: Any) -> nn.Sequential:
    features = model.features
    features[-1] = nn.Sequential(OrderedDict(list(features[-1].named_children())[:-1]))
    return features


class _LinearBasicBlock(nn.Module):
    """ResNet's last basic block without the ReLU after the sum."""

    def __init__(self, block: Any):
        super().__init__()
        self.conv1, self.bn1, self.relu = block.conv1, block.bn1, block.relu
        self.conv2, self.bn2 = block.conv2, block.bn2

    def forward(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + x


def _cut_resnet(model: Any) -> nn.Sequential:
    model.layer4[-1] = _LinearBasicBlock(model.layer4[-1])
    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    return nn.Sequential(OrderedDict((name, getattr(model, name)) for name in names))


BACKBONES: dict[str, BackboneSpec] = {
    "alexnet": BackboneSpec(_classifier("alexnet"), 256, _features(11)),
    "alexnet_caffe": BackboneSpec(CaffeNet, 256, _features(13)),
    "vgg16": BackboneSpec(_classifier("vgg16"), 512, _features(29)),
    "squeezenet1_1": BackboneSpec(_classifier("squeezenet1_1"), 512, _cut_squeezenet),
    "mobilenet_v2": BackboneSpec(_classifier("mobilenet_v2"), 1280, _cut_mobilenet),
    "resnet18": BackboneSpec(_classifier("resnet18"), 512, _cut_resnet, prefix=""),
}


def backbone_spec(name: str) -> BackboneSpec:
    """The spec of a backbone by torchvision's name."""
    if name not in BACKBONES:
        raise CheckpointError("unknown backbone", found=repr(name), allowed=", ".join(BACKBONES))
    return BACKBONES[name]


def build_backbone(name: str, weights: Mapping[str, Tensor] | None = None) -> nn.Sequential:
    """A backbone in eval mode, batch norm folded: float32 [B, 3, H, W] -> [B, D, H', W'].

    Args:
        name: a key of :data:`BACKBONES`.
        weights: a torchvision state dict of the classifier or of its features (keys with or without
            ``features.``); the classifier's own layers are ignored. None: random initialisation.

    Raises:
        CheckpointError: keys are missing or have other shapes.
    """
    spec = backbone_spec(name)
    with torch.no_grad():
        backbone = spec.cut(spec.build()).eval()
        if weights is not None:
            _load(backbone, weights, spec, name)
        fold_batch_norm(backbone)
    for parameter in backbone.parameters():
        parameter.requires_grad_(True)
    return keep_inputs(backbone)


def keep_inputs(network: T) -> T:
    """The network with activations that do not overwrite their inputs."""
    for module in network.modules():
        if isinstance(module, (nn.ReLU, nn.ReLU6)):
            module.inplace = False
    return network


def _load(backbone: nn.Module, weights: Mapping[str, Tensor], spec: BackboneSpec, name: str) -> None:
    wanted = backbone.state_dict()
    found = {key.removeprefix(spec.prefix): value for key, value in weights.items()}
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    missing = [key for key in wanted if key not in found and key not in counters]
    wrong = [key for key in wanted if key in found and found[key].shape != wanted[key].shape]
    if missing or wrong:
        problem = f"{len(missing)} missing keys" if missing else f"{len(wrong)} keys of another shape"
        first = (missing or wrong)[0]
        raise CheckpointError(f"the weights are not those of {name}", found=f"{problem}, the first {first!r}")
    backbone.load_state_dict({key: found.get(key, wanted[key]) for key in wanted})


def fold_batch_norm(module: nn.Module) -> None:
    """Fold every batch norm into the convolution registered just before it."""
    previous: tuple[str, nn.Conv2d] | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and previous is not None:
            setattr(module, previous[0], fuse_conv_bn_eval(previous[1], child))
            setattr(module, name, nn.Identity())
        previous = (name, child) if isinstance(child, nn.Conv2d) else None
        fold_batch_norm(child)

"""Convolutional backbones, batch norm folded in, with or without the activation after their last convolution.

State-dict keys are torchvision's, so ``backbone.N...`` here is ``features.N...`` there; ResNet keeps its own module
names. Weights are never downloaded: ``weights`` is a state dict the caller read from a file. A backbone is built on
the ``meta`` device, without values, and takes those of the file or of a fit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torchvision
from torch import Tensor, nn

from pocketvlad.errors import CheckpointError
from pocketvlad.model.backbones import efficientnet_lite, resnet
from pocketvlad.model.backbones.caffe import CaffeNet
from pocketvlad.model.batchnorm import fold_batch_norm
from pocketvlad.model.preprocess import IMAGENET_MEAN, IMAGENET_STD

T = TypeVar("T", bound=nn.Module)
COUNTER = "num_batches_tracked"  # of a batch norm; nothing needs it
Split = Callable[[Any], nn.Sequential]


@dataclass(frozen=True)
class BackboneSpec:
    """How a classifier becomes a backbone.

    Attributes:
        build: the classifier, of as many classes as said.
        channels: D, of the last convolution.
        features: of the classifier, up to its last convolution and that one's activation.
        without_last_activation: the features without that activation, in place.
        layers: what the classifier has behind its features; None where it has none.
        prefix: of the features' keys in the classifier's state dict.
        mean, std: that inputs are normalised by, of values 0 to 1.
        plain_key: a checkpoint's key as the backbone has it.
    """

    build: Callable[[int], nn.Module]
    channels: int
    features: Split
    without_last_activation: Callable[[nn.Sequential], nn.Sequential]
    layers: Split | None = None
    prefix: str = "features."
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    plain_key: Callable[[str], str] = str


def _torchvision(name: str) -> Callable[[int], nn.Module]:
    return lambda classes: getattr(torchvision.models, name)(weights=None, num_classes=classes)


def _first(count: int) -> Split:
    return lambda model: nn.Sequential(OrderedDict(list(model.features.named_children())[:count]))


def _all(model: Any) -> nn.Sequential:
    return model.features


def _pooled(model: Any) -> nn.Sequential:
    pool = model.avgpool if hasattr(model, "avgpool") else nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(OrderedDict(avgpool=pool, flatten=nn.Flatten(), classifier=model.classifier))


def _convolved(model: Any) -> nn.Sequential:
    return nn.Sequential(OrderedDict(classifier=model.classifier, flatten=nn.Flatten()))


def _with_last_stage(model: Any) -> nn.Sequential:
    """The features and the last max pooling, which a classifier has behind them."""
    pool = list(model.features.children())[-1]
    return nn.Sequential(OrderedDict(maxpool=pool, **dict(_pooled(model).named_children())))


def _drop_last(backbone: nn.Sequential) -> nn.Sequential:
    return nn.Sequential(OrderedDict(list(backbone.named_children())[:-1]))


def _linear_fire(backbone: nn.Sequential) -> nn.Sequential:
    last: Any = backbone[-1]
    last.expand1x1_activation = nn.Identity()
    last.expand3x3_activation = nn.Identity()
    return backbone


def _linear_last_block(backbone: nn.Sequential) -> nn.Sequential:
    last: Any = backbone[-1]
    backbone[-1] = nn.Sequential(OrderedDict(list(last.named_children())[:-1]))
    return backbone


def _caffe(classes: int) -> nn.Module:
    return CaffeNet()


def _lite(width: float, depth: float) -> BackboneSpec:
    """EfficientNet-Lite, which ends in a convolution."""
    lite = efficientnet_lite
    return BackboneSpec(
        lambda classes: lite.EfficientNetLite(width, depth),
        lite.scaled(lite.CHANNELS, width),
        _all,
        _as_it_is,
        prefix="",
        mean=lite.MEAN,
        std=lite.STD,
        plain_key=lite.plain_key,
    )


def _as_it_is(backbone: nn.Sequential) -> nn.Sequential:
    return backbone


def _plain(name: str, channels: int, count: int) -> BackboneSpec:
    """AlexNet and VGG: a sequence of convolutions, activations and poolings."""
    return BackboneSpec(_torchvision(name), channels, _first(count + 1), _drop_last, _with_last_stage)


def _blocks(name: str, channels: int) -> BackboneSpec:
    """MobileNets: the last block is a convolution, its norm and its activation."""
    return BackboneSpec(_torchvision(name), channels, _all, _linear_last_block, _pooled)


def _resnet(name: str, channels: int) -> BackboneSpec:
    linear = resnet.without_last_activation
    return BackboneSpec(_torchvision(name), channels, resnet.features, linear, resnet.layers, prefix="")


BACKBONES: dict[str, BackboneSpec] = {
    "alexnet": _plain("alexnet", 256, 11),
    "alexnet_caffe": BackboneSpec(_caffe, 256, _all, _as_it_is),  # ends in its last convolution
    "vgg16": _plain("vgg16", 512, 29),
    "squeezenet1_1": BackboneSpec(_torchvision("squeezenet1_1"), 512, _all, _linear_fire, _convolved),
    "mobilenet_v2": _blocks("mobilenet_v2", 1280),
    "mobilenet_v3_small": _blocks("mobilenet_v3_small", 576),
    "mobilenet_v3_large": _blocks("mobilenet_v3_large", 960),
    "efficientnet_lite0": _lite(1.0, 1.0),
    "efficientnet_lite1": _lite(1.0, 1.1),
    "efficientnet_lite2": _lite(1.1, 1.2),
    "resnet18": _resnet("resnet18", 512),
    "resnet34": _resnet("resnet34", 512),
    "resnet50": _resnet("resnet50", 2048),
    "resnet101": _resnet("resnet101", 2048),
    "resnet152": _resnet("resnet152", 2048),
}
CLASSIFIERS = tuple(name for name, spec in BACKBONES.items() if spec.layers is not None)


def backbone_spec(name: str) -> BackboneSpec:
    """The spec of a backbone by its name."""
    if name not in BACKBONES:
        raise CheckpointError("unknown backbone", found=repr(name), allowed=", ".join(BACKBONES))
    return BACKBONES[name]


def _whole(name: str, classes: int = 1000) -> nn.Module:
    with torch.device("meta"):
        return backbone_spec(name).build(classes).eval()


def plain_backbone(name: str, *, last_activation: bool = False) -> nn.Sequential:
    """The backbone on the meta device, its batch norms as in a checkpoint."""
    spec = backbone_spec(name)
    backbone = spec.features(_whole(name))
    return backbone if last_activation else spec.without_last_activation(backbone)


def empty_backbone(name: str, *, last_activation: bool = False) -> nn.Sequential:
    """The backbone without values, batch norm folded: float32 [B, 3, H, W] -> [B, D, H', W'].

    Args:
        name: a key of :data:`BACKBONES`.
        last_activation: whether the activation after the last convolution stays.
    """
    return _folded(plain_backbone(name, last_activation=last_activation))


def build_backbone(
    name: str, weights: Mapping[str, Tensor], *, last_activation: bool = False
) -> nn.Sequential:
    """A backbone with values, in eval mode; arguments as :func:`empty_backbone`.

    Args:
        weights: a torchvision state dict of the classifier or of its features (keys with or without ``features.``);
            the classifier's own layers are ignored.

    Raises:
        CheckpointError: keys are missing or have other shapes.
    """
    backbone = plain_backbone(name, last_activation=last_activation)
    spec = backbone_spec(name)
    plain = {spec.plain_key(key): value for key, value in weights.items()}
    _load(backbone, plain, spec.prefix, name)
    return _folded(backbone)


def random_backbone(name: str, *, last_activation: bool = False) -> nn.Sequential:
    """A backbone with torch's random initialisation, in eval mode."""
    spec = backbone_spec(name)
    backbone = spec.features(spec.build(1000).eval())
    return _folded(backbone if last_activation else spec.without_last_activation(backbone))


def classifier_layers(name: str, classes: int) -> nn.Sequential:
    """What a classifier has behind its features, without values.

    Raises:
        CheckpointError: no such classifier.
    """
    return _layers(name, _whole(name, classes))


def split_classifier(
    name: str, classes: int, weights: Mapping[str, Tensor]
) -> tuple[nn.Sequential, nn.Sequential]:
    """Features (the last activation kept, batch norm folded) and layers of a classifier with these values.

    Raises:
        CheckpointError: no such classifier, or keys are missing or have other shapes.
    """
    whole = _whole(name, classes)
    _load(whole, weights, "", f"the classifier {name}")
    return _folded(backbone_spec(name).features(whole)), _layers(name, whole)


def _layers(name: str, whole: nn.Module) -> nn.Sequential:
    split = backbone_spec(name).layers
    if split is None:
        raise CheckpointError("unknown classifier", found=repr(name), allowed=", ".join(CLASSIFIERS))
    return keep_inputs(split(whole).eval())


def _folded(backbone: nn.Sequential) -> nn.Sequential:
    with torch.no_grad():
        fold_batch_norm(backbone)
    for parameter in backbone.parameters():
        parameter.requires_grad_(True)
    return keep_inputs(backbone)


def keep_inputs(network: T) -> T:
    """The network with activations that do not overwrite their inputs."""
    for module in network.modules():
        if hasattr(module, "inplace"):
            setattr(module, "inplace", False)  # noqa: B010  torch types every attribute as a module or tensor
    return network


def _load(network: nn.Module, weights: Mapping[str, Tensor], prefix: str, name: str) -> None:
    wanted = network.state_dict()
    found = {key.removeprefix(prefix): value for key, value in weights.items()}
    counters = {key for key in wanted if key.endswith(COUNTER)}
    missing = [key for key in wanted if key not in found and key not in counters]
    wrong = [key for key in wanted if key in found and found[key].shape != wanted[key].shape]
    if missing or wrong:
        problem = f"{len(missing)} missing keys" if missing else f"{len(wrong)} keys of another shape"
        first = (missing or wrong)[0]
        raise CheckpointError(f"the weights are not those of {name}", found=f"{problem}, the first {first!r}")
    values = {
        key: torch.zeros((), dtype=torch.int64) if key in counters else _float(found[key]) for key in wanted
    }
    network.load_state_dict(values, assign=True)


def _float(tensor: Tensor) -> Tensor:
    return tensor.detach().float() if tensor.is_floating_point() else tensor.detach()

"""Convolutional backbones, batch norm folded in, with or without the activation after their last convolution.

State-dict keys are torchvision's, so ``backbone.N...`` here is ``features.N...`` there; ResNet keeps its own module
names. Weights are never downloaded: ``weights`` is a state dict the caller read from a file. A backbone is built on
the ``meta`` device, without values, and takes those of the file or of a fit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch
import torchvision
from torch import Tensor, nn

from pocketvlad.errors import CheckpointError, unknown
from pocketvlad.model.backbones import dinov2, efficientnet_lite, resnet
from pocketvlad.model.backbones.caffe import CaffeNet
from pocketvlad.model.backbones.dinov2 import Size, TransformerSpec
from pocketvlad.model.backbones.values import LARGE_ENOUGH, check_shapes, load_values, require_locations
from pocketvlad.model.batchnorm import fold_batch_norm
from pocketvlad.model.preprocess import IMAGENET_MEAN, IMAGENET_STD

T = TypeVar("T", bound=nn.Module)
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
        stride: pixels a side of one location, where any input size gives that many; 0: not said.
        sized: whether the input's size is in the weights.
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
    stride: int = 0
    sized: ClassVar = False

    def check_size(self, height: int, width: int) -> None:
        """Raises RecipeError for a size of which nothing is left after the convolutions and poolings."""
        if min(height, width) >= LARGE_ENOUGH:
            return
        with torch.device("meta"):
            require_locations(self.features(self.build(1)), height, width)


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


def _plain(name: str, channels: int, count: int, stride: int = 0) -> BackboneSpec:
    """AlexNet and VGG: a sequence of convolutions, activations and poolings."""
    features = _first(count + 1)
    return BackboneSpec(_torchvision(name), channels, features, _drop_last, _with_last_stage, stride=stride)


def _blocks(name: str, channels: int) -> BackboneSpec:
    """MobileNets: the last block is a convolution, its norm and its activation."""
    return BackboneSpec(_torchvision(name), channels, _all, _linear_last_block, _pooled)


def _resnet(name: str, channels: int) -> BackboneSpec:
    linear = resnet.without_last_activation
    return BackboneSpec(
        _torchvision(name), channels, resnet.features, linear, resnet.layers, prefix="", stride=32
    )


def _layer3(name: str, channels: int) -> BackboneSpec:
    """A ResNet cut after its third stage."""
    linear = resnet.without_last_activation
    return BackboneSpec(_torchvision(name), channels, resnet.features_of_layer3, linear, prefix="", stride=16)


BACKBONES: dict[str, BackboneSpec | TransformerSpec] = {
    "alexnet": _plain("alexnet", 256, 11),
    "alexnet_caffe": BackboneSpec(_caffe, 256, _all, _as_it_is),  # ends in its last convolution
    "vgg16": _plain("vgg16", 512, 29, stride=16),
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
    "resnet18_layer3": _layer3("resnet18", 256),
    "resnet34_layer3": _layer3("resnet34", 256),
    "resnet50_layer3": _layer3("resnet50", 1024),
    "resnet101_layer3": _layer3("resnet101", 1024),
    "resnet152_layer3": _layer3("resnet152", 1024),
    **dinov2.SPECS,
}
CLASSIFIERS = tuple(name for name, spec in BACKBONES.items() if spec.layers is not None)


def backbone_spec(name: str) -> BackboneSpec | TransformerSpec:
    """The spec of a backbone by its name."""
    if name not in BACKBONES:
        raise unknown(CheckpointError, "unknown backbone", name, BACKBONES)
    return BACKBONES[name]


def _convolutional(name: str) -> BackboneSpec:
    spec = backbone_spec(name)
    if isinstance(spec, TransformerSpec):
        allowed = ", ".join(key for key, each in BACKBONES.items() if isinstance(each, BackboneSpec))
        raise CheckpointError("not a convolutional backbone", found=repr(name), allowed=allowed)
    return spec


def _whole(name: str, classes: int = 1000) -> nn.Module:
    with torch.device("meta"):
        return _convolutional(name).build(classes).eval()


def plain_backbone(name: str, *, last_activation: bool = False) -> nn.Sequential:
    """A convolutional backbone on the meta device, its batch norms as in a checkpoint."""
    spec = _convolutional(name)
    backbone = spec.features(_whole(name))
    return backbone if last_activation else spec.without_last_activation(backbone)


def empty_backbone(name: str, *, last_activation: bool = False, size: Size | None = None) -> nn.Module:
    """The backbone without values, batch norm folded: float32 [B, 3, H, W] -> [B, D, H', W'].

    Args:
        name: a key of :data:`BACKBONES`.
        last_activation: whether what follows its last layer stays: a convolution's activation, a transformer's norm.
        size: H and W, which a transformer is made for.
    """
    spec = backbone_spec(name)
    if isinstance(spec, TransformerSpec):
        return spec.empty(_required(name, size), last_activation=last_activation)
    return _folded(plain_backbone(name, last_activation=last_activation))


def build_backbone(
    name: str, weights: Mapping[str, Tensor], *, last_activation: bool = False, size: Size | None = None
) -> nn.Module:
    """A backbone with values, in eval mode; arguments as :func:`empty_backbone`.

    Args:
        weights: a torchvision state dict of the classifier or of its features (keys with or without ``features.``);
            the classifier's own layers are ignored. Of a transformer, DINOv2's.

    Raises:
        CheckpointError: keys are missing or have other shapes.
    """
    spec = backbone_spec(name)
    if isinstance(spec, TransformerSpec):
        plain = dinov2.plain_blocks(weights)
        check_shapes(plain, dinov2.shapes(spec, last_norm=last_activation), name)
        return dinov2.folded(spec, plain, _required(name, size), last_activation=last_activation)
    backbone = plain_backbone(name, last_activation=last_activation)
    load_values(backbone, {spec.plain_key(key): value for key, value in weights.items()}, spec.prefix, name)
    return _folded(backbone)


def random_backbone(name: str, *, last_activation: bool = False, size: Size | None = None) -> nn.Module:
    """A backbone with torch's random initialisation, in eval mode."""
    spec = backbone_spec(name)
    if isinstance(spec, TransformerSpec):
        shapes = dinov2.shapes(spec, last_norm=True)
        drawn = {key: torch.randn([length or 1370 for length in shape]) / 50 for key, shape in shapes.items()}
        ones = {
            key: 1 + drawn[key] for key in drawn if key.endswith(("norm1.weight", "norm2.weight", "gamma"))
        }
        return build_backbone(name, drawn | ones, last_activation=last_activation, size=size)
    backbone = spec.features(spec.build(1000).eval())
    return _folded(backbone if last_activation else spec.without_last_activation(backbone))


def _required(name: str, size: Size | None) -> Size:
    if size is None:
        raise CheckpointError(f"backbone {name} is made for one input size", do="say which")
    backbone_spec(name).check_size(*size)
    return size


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
    load_values(whole, weights, "", f"the classifier {name}")
    return _folded(_convolutional(name).features(whole)), _layers(name, whole)


def _layers(name: str, whole: nn.Module) -> nn.Sequential:
    split = backbone_spec(name).layers
    if split is None:
        raise unknown(CheckpointError, "unknown classifier", name, CLASSIFIERS)
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

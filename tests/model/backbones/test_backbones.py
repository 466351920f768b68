"""Backbones cut where they should be, with and without values."""

import pytest
import torch
import torchvision
from torch import nn

from pocketvlad.errors import CheckpointError
from pocketvlad.model.backbones import BACKBONES, build_backbone, empty_backbone, random_backbone

CONVOLUTIONAL = [name for name, spec in BACKBONES.items() if not spec.sized]  # of any input size
SMALL = [name for name in CONVOLUTIONAL if name not in ("vgg16", "resnet101", "resnet152")]


@pytest.mark.parametrize("name", SMALL)
def test_backbones_have_the_stated_channels_and_no_last_activation(name):
    backbone = random_backbone(name)
    with torch.no_grad():
        features = backbone(torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)))
    assert features.shape[1] == BACKBONES[name].channels
    assert (features < 0).any()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    assert not any(getattr(module, "inplace", False) for module in backbone.modules())


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_empty_backbones_have_shapes_and_no_values(name):
    backbone = empty_backbone(name)
    assert all(parameter.is_meta for parameter in backbone.parameters())
    with torch.device("meta"):
        features = backbone(torch.empty(1, 3, 64, 96))
    assert features.shape[1] == BACKBONES[name].channels
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())


@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_1", "resnet18"])
def test_the_last_activation_stays_where_asked(name):
    torch.manual_seed(0)
    kept = random_backbone(name, last_activation=True)
    torch.manual_seed(0)
    linear = random_backbone(name)
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(kept(x), linear(x).relu())


def test_weights_come_with_and_without_their_prefix():
    weights = torchvision.models.squeezenet1_1(weights=None).state_dict()
    bare = {key.removeprefix("features."): value for key, value in weights.items()}
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        both = [build_backbone("squeezenet1_1", each)(x) for each in (weights, bare)]
    assert torch.equal(*both)


def test_weights_of_another_network_are_refused():
    weights = torchvision.models.alexnet(weights=None, num_classes=2).state_dict()
    with pytest.raises(CheckpointError, match="not those of vgg16; found .*missing keys"):
        build_backbone("vgg16", weights)
    wrong = {**weights, "features.0.weight": torch.zeros(64, 3, 3, 3)}
    with pytest.raises(CheckpointError, match="not those of alexnet; found 1 keys of another shape"):
        build_backbone("alexnet", wrong)
    with pytest.raises(CheckpointError, match="unknown backbone; found 'vgg19'"):
        build_backbone("vgg19", {})

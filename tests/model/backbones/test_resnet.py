"""ResNets cut after layer3 or layer4 and VGG16, with and without the activation after the last layer."""

import pytest
import torch
import torchvision

from helpers.checkpoints import resnet
from pocketvlad.errors import CheckpointError
from pocketvlad.model.backbones import BACKBONES, CLASSIFIERS, backbone_spec, build_backbone, empty_backbone

X = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
@pytest.mark.parametrize("stages", [3, 4])
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_resnet_is_cut_where_its_name_says(name, stages):
    original = resnet(name, stages)
    full = name if stages == 4 else f"{name}_layer3"
    kept = build_backbone(full, original.state_dict(), last_activation=True)
    found = kept(X)
    wanted = original(X)
    assert float((found - wanted).norm() / wanted.norm()) < 1e-3
    spec = backbone_spec(full)
    assert found.shape == (2, spec.channels, -(-64 // spec.stride), -(-96 // spec.stride))
    linear = build_backbone(full, original.state_dict())(X)
    assert float(linear.min()) < 0
    torch.testing.assert_close(linear.relu(), found)


@torch.no_grad()
def test_vgg16_ends_in_its_last_convolution_or_in_its_activation():
    torch.manual_seed(0)
    features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"]).eval()
    state = {f"features.{key}": value for key, value in features.state_dict().items()}
    x = X[:1, :, :, :64]
    linear = build_backbone("vgg16", state)(x)
    torch.testing.assert_close(linear, features[:29](x))
    torch.testing.assert_close(build_backbone("vgg16", state, last_activation=True)(x), linear.relu())


def test_a_cut_resnet_is_no_classifier():
    assert "resnet18" in CLASSIFIERS
    assert not any(name.endswith("_layer3") or name.startswith("dinov2") for name in CLASSIFIERS)


@pytest.mark.parametrize("name", [name for name in BACKBONES if getattr(BACKBONES[name], "stride", 0)])
def test_the_stride_is_that_of_the_map(name):
    """What heads for maps of one size rely on."""
    spec = backbone_spec(name)
    side = 12 * spec.stride
    backbone = empty_backbone(name, size=(side, side))
    with torch.device("meta"):
        found = backbone(torch.empty(1, 3, side, side))
    locations = 1 + 144 if getattr(spec, "class_token", False) else 144
    assert found.shape[:2] == (1, spec.channels) and found.shape[2] * found.shape[3] == locations


def test_an_unknown_backbone_is_refused_with_those_there_are():
    with pytest.raises(CheckpointError, match=r"unknown backbone; found 'resnet19'; .*resnet50_layer3"):
        backbone_spec("resnet19")

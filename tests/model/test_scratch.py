import pytest
import torch
from torch import nn

from pocketvlad.errors import PhotoError
from pocketvlad.model.backbones import BACKBONES, random_backbone
from pocketvlad.model.scratch import init_backbone_from_photos, sample_patches


def photos(count: int = 6, height: int = 96, width: int = 128) -> torch.Tensor:
    """Smooth random pictures with edges, [count, 3, height, width]."""
    random = torch.Generator().manual_seed(3)
    coarse = torch.randn(count, 3, height // 8, width // 8, generator=random)
    return nn.functional.interpolate(coarse, (height, width), mode="nearest") + 0.1 * torch.randn(
        count, 3, height, width, generator=random
    )


def test_sampled_patches_are_what_the_convolution_multiplies():
    convolution = nn.Conv2d(4, 5, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), bias=False)
    x = torch.randn(2, 4, 9, 11)
    with torch.no_grad():
        expected = convolution(x).flatten(2).transpose(1, 2).reshape(-1, 5)
        found = sample_patches(convolution, x, torch.Generator()) @ convolution.weight.flatten(1).T
    assert len(found) == len(expected)
    difference = (found[:, None] - expected[None]).norm(dim=2).min(dim=1).values
    assert difference.max() < 1e-5


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v2", "resnet18"])
def test_features_are_finite_varied_and_of_sane_size(name):
    backbone = random_backbone(name)
    init_backbone_from_photos(backbone, photos(), 0)
    with torch.inference_mode():
        features = backbone(photos())
    assert features.shape[1] == BACKBONES[name].channels
    assert torch.isfinite(features).all()
    assert 0.05 < features.square().mean().sqrt() < 50
    local = nn.functional.normalize(features, dim=1).permute(0, 2, 3, 1).reshape(-1, features.shape[1])
    assert (local @ local.T).mean() < 0.9


def test_the_network_is_homogeneous_so_contrast_cancels():
    backbone = random_backbone("squeezenet1_1")
    init_backbone_from_photos(backbone, photos(), 0)
    with torch.inference_mode():
        once, thrice = backbone(photos(2)), backbone(3 * photos(2))
    assert torch.allclose(thrice, 3 * once, rtol=1e-3, atol=1e-3)


def test_flat_light_adds_nothing_after_the_first_layer():
    backbone = random_backbone("squeezenet1_1")
    init_backbone_from_photos(backbone, photos(), 0)
    with torch.inference_mode():
        flat = backbone[0](torch.full((1, 3, 32, 32), 0.7))
    assert flat[..., 1:-1, 1:-1].abs().max() < 1e-2  # of features whose root mean square is 1


def test_the_seed_decides_the_weights():
    first, again, other = (random_backbone("squeezenet1_1") for _ in range(3))
    for backbone, seed in ((first, 1), (again, 1), (other, 2)):
        init_backbone_from_photos(backbone, photos(), seed)
    name = "3.squeeze.weight"
    assert torch.equal(first.state_dict()[name], again.state_dict()[name])
    assert not torch.allclose(first.state_dict()[name], other.state_dict()[name])


def test_no_hook_stays_behind():
    backbone = random_backbone("squeezenet1_1")
    init_backbone_from_photos(backbone, photos(), 0)
    assert not any(module._forward_pre_hooks for module in backbone.modules())


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 1, 8, 8), (0, 3, 8, 8)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="wanted"):
        init_backbone_from_photos(random_backbone("squeezenet1_1"), torch.zeros(shape), 0)


def test_photos_too_small_for_the_backbone_are_one_clear_line():
    with pytest.raises(PhotoError, match="nothing varies; found 32x64 pixels; give a larger size"):
        init_backbone_from_photos(random_backbone("squeezenet1_1"), photos(180, 32, 64), 0)

"""DINOv2's transformers: what is folded into the weights computes what the plain transformer does."""

import pytest
import torch

from helpers import checkpoints, plain_heads
from helpers.checkpoints import HEADS, tiny_transformers
from pocketvlad.compress.layers import compressible_layers
from pocketvlad.errors import CheckpointError, RecipeError
from pocketvlad.model.backbones import backbone_spec, build_backbone, empty_backbone, random_backbone
from pocketvlad.model.backbones.dinov2 import SIZES
from pocketvlad.model.fit import backbone_from_photos, fit_network
from pocketvlad.model.heads.netvlad import NetVladOptions
from pocketvlad.model.network import Network, NetworkConfig, load_model, save_model
from pocketvlad.model.preprocess import Preprocess

__all__ = ["tiny_transformers"]  # a fixture
# est. in millions of weights, from the models' own pages; registers, layer scale and norms hardly count
MILLIONS = {"vits": 22.06, "vitb": 86.58, "vitl": 304.4}


def photos(size, count=2):
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
@pytest.mark.parametrize("size", [(70, 70), (126, 98), (42, 154)], ids=["as-trained", "larger", "narrow"])
@pytest.mark.parametrize("registers", [0, 4])
@pytest.mark.parametrize("last_norm", [False, True])
def test_it_computes_what_the_plain_transformer_does(tiny_transformers, size, registers, last_norm):
    """Position embeddings are for 5x5 patches; both rules of moving them to another grid."""
    weights, x = checkpoints.transformer(registers), photos(size)
    name = "dinov2_tiny14_reg" if registers else "dinov2_tiny14"
    token, patches = plain_heads.transformer(x, weights, HEADS, last_norm=last_norm)
    options = {"last_activation": last_norm, "size": size}
    torch.testing.assert_close(build_backbone(name, weights, **options)(x), patches, atol=1e-4, rtol=1e-4)
    both = build_backbone(f"{name}_class", weights, **options)(x)
    assert both.shape == (2, 32, 1, 1 + patches[0, 0].numel())
    torch.testing.assert_close(both[:, :, 0, 0], token, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(both[:, :, 0, 1:], patches.flatten(2), atol=1e-4, rtol=1e-4)


def test_the_two_rules_differ():
    weights = checkpoints.transformer()
    moved = [
        plain_heads.position(weights | extra, 9, 9) for extra in ({}, {"register_tokens": torch.zeros(1)})
    ]
    assert float((moved[0] - moved[1]).abs().max()) > 0.01


@pytest.mark.parametrize("name", SIZES)
def test_the_published_sizes_have_the_weights_they_should(name):
    backbone = empty_backbone(f"dinov2_{name}14", last_activation=True, size=(518, 518))
    found = sum(parameter.numel() for parameter in backbone.parameters()) / 1e6
    assert found == pytest.approx(MILLIONS[name], rel=2e-3)


@pytest.mark.parametrize(
    "size, near", [((224, 230), "224x224"), ((5, 322), "14x322"), ((480, 640), "476x644")]
)
def test_a_size_of_broken_patches_is_refused_with_the_nearest(size, near):
    with pytest.raises(
        RecipeError, match=rf"found {size[0]}x{size[1]}; allowed: multiples of 14, such as {near}"
    ):
        backbone_spec("dinov2_vits14").check_size(*size)
    with pytest.raises(RecipeError, match="multiples of 14"):
        Network.empty(NetworkConfig("dinov2_vits14", Preprocess(*size)))


def test_it_says_what_its_layers_are_for(tiny_transformers):
    config = NetworkConfig("dinov2_tiny14", Preprocess(70, 70), options=NetVladOptions(3))
    roles = Network.empty(config).roles()
    assert roles["backbone.patch_embed"] == "convolution" and roles["head.assignment"] == "assignment"
    for block in range(checkpoints.DEPTH):
        at = f"backbone.blocks.{block}"
        assert roles[f"{at}.attn.qkv"] == roles[f"{at}.attn.proj"] == "attention"
        assert roles[f"{at}.mlp.fc1"] == roles[f"{at}.mlp.fc2"] == "mlp"
    assert set(roles) == set(compressible_layers(Network.empty(config)))


@torch.no_grad()
def test_a_network_is_fitted_to_photos_on_it_and_kept_in_a_file(tiny_transformers, tmp_path):
    """What AnyLoc does with a vocabulary for a far larger transformer."""
    config = NetworkConfig("dinov2_tiny14", Preprocess(70, 70), options=NetVladOptions(3), dim=4)
    backbone = random_backbone("dinov2_tiny14", size=(70, 70))
    network = fit_network(config, backbone, list(photos((70, 70), 4)), views=2)
    save_model(tmp_path / "m.safetensors", network, {})
    again, x = load_model(tmp_path / "m.safetensors"), photos((70, 70), 1)
    torch.testing.assert_close(again(x), network(x))
    assert network(x).shape == (1, 4)


def test_it_cannot_be_built_from_photos(tiny_transformers):
    config = NetworkConfig("dinov2_tiny14", Preprocess(70, 70))
    with pytest.raises(CheckpointError, match="cannot be built from photos; give it trained weights"):
        backbone_from_photos(config, list(photos((70, 70))), 0)


def test_weights_that_are_incomplete_are_refused(tiny_transformers):
    weights = checkpoints.transformer()
    del weights["blocks.1.ls1.gamma"]
    with pytest.raises(CheckpointError, match=r"not those of dinov2_tiny14; .*'blocks.1.ls1.gamma'"):
        build_backbone("dinov2_tiny14", weights, size=(70, 70))
    with pytest.raises(CheckpointError, match=r"made for one input size; say which"):
        build_backbone("dinov2_tiny14", checkpoints.transformer())

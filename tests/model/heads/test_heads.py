"""What holds for every head: traced by symbols, options kept in files, sizes refused at the door."""

import pytest
import torch

from pocketvlad.compress.graph import traced
from pocketvlad.compress.layers import compressible_layers
from pocketvlad.errors import ArtifactError, RecipeError
from pocketvlad.model.heads import HEADS, head_class
from pocketvlad.model.heads.boq import BoqOptions
from pocketvlad.model.heads.convap import ConvApOptions
from pocketvlad.model.heads.gem import GemOptions
from pocketvlad.model.heads.mixvpr import MixVprOptions
from pocketvlad.model.heads.netvlad import NetVladOptions
from pocketvlad.model.heads.salad import Salad, SaladOptions
from pocketvlad.model.heads.scores import ScoresOptions
from pocketvlad.model.network import Network, NetworkConfig
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.model.roles import ROLES

# options, channels, map
SMALL = {
    "netvlad": (NetVladOptions(3), 16, (5, 6)),
    "gem": (GemOptions(7), 16, (5, 6)),
    "convap": (ConvApOptions(5), 16, (10, 10)),
    "mixvpr": (MixVprOptions(5, 2, 6, 3), 16, (5, 5)),
    "salad": (SaladOptions(20, 6, 5, 4, 8), 16, (1, 21)),
    "boq": (BoqOptions(128, 6, 2, 3), 16, (5, 6)),
    "scores": (ScoresOptions("resnet18", 4), 512, (2, 2)),
}


def small(name):
    options, channels, size = SMALL[name]
    torch.manual_seed(0)
    head = head_class(name)(channels, options).to_empty(device="cpu") if name == "scores" else None
    head = head or head_class(name)(channels, options)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return head.eval(), torch.rand(2, channels, *size)


@torch.no_grad()
@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_traced_by_symbols_for_any_batch(name):
    head, x = small(name)
    wanted = head(x)
    assert wanted.shape == (2, head.outputs)
    torch.testing.assert_close(traced(head)(x), wanted)
    torch.testing.assert_close(traced(head)(x[1:]), wanted[1:], atol=1e-5, rtol=1e-5)
    if head.describes:
        torch.testing.assert_close(wanted.norm(dim=1), torch.ones(2))


@pytest.mark.parametrize("name", HEADS)
def test_a_head_says_what_each_layer_is_for(name):
    head, _ = small(name)
    roles = head.roles()
    assert set(roles) == set(compressible_layers(head)) and set(roles.values()) <= set(ROLES)


@pytest.mark.parametrize(
    "head, size, backbone",
    [
        ("gem", (64, 96), "resnet18_layer3"),
        ("convap", (64, 96), "resnet18"),
        ("mixvpr", (80, 80), "resnet18_layer3"),
        ("salad", (56, 70), "dinov2_vits14_class"),
        ("boq", (64, 96), "resnet50_layer3"),
    ],
)
def test_a_configuration_survives_json(head, size, backbone):
    config = NetworkConfig(backbone, Preprocess(*size), head, SMALL[head][0], last_activation=True)
    assert NetworkConfig.from_json(config.to_json()) == config
    assert Network.empty(config).outputs == Network.empty(NetworkConfig.from_json(config.to_json())).outputs


@pytest.mark.parametrize("size", [(320, 640), (319, 320), (336, 336)])
def test_mixvpr_takes_one_size(size):
    config = NetworkConfig("resnet50_layer3", Preprocess(*size), "mixvpr", MixVprOptions())
    with pytest.raises(RecipeError, match=rf"found {size[0]}x{size[1]}; allowed: 320x320"):
        Network.empty(config)


def test_mixvpr_wants_a_backbone_whose_map_is_known():
    config = NetworkConfig("alexnet", Preprocess(320, 320), "mixvpr", MixVprOptions())
    with pytest.raises(RecipeError, match="a backbone whose map's size is known"):
        Network.empty(config)


@pytest.mark.parametrize("size, patches", [((112, 112), 64), ((98, 98), 49)])
def test_salad_takes_no_64_patches_or_fewer(size, patches):
    config = NetworkConfig("dinov2_vitb14_class", Preprocess(*size), "salad", SaladOptions(patches))
    message = (
        rf"more patches than its 64 clusters; found {patches} of .*; allowed: at least 65, such as 126x126"
    )
    with pytest.raises(RecipeError, match=message):
        Network.empty(config)


def test_salad_made_for_another_size_is_refused():
    config = NetworkConfig("dinov2_vitb14_class", Preprocess(126, 140), "salad", SaladOptions(529))
    with pytest.raises(
        RecipeError, match=r"made for 529 patches; found 90 of 126x140; import it for the size"
    ):
        Network.empty(config)


def test_options_that_a_head_does_not_have_are_refused():
    value = NetworkConfig("resnet18", Preprocess(64, 64), "gem", GemOptions()).to_json()
    value["head"]["clusters"] = 3
    with pytest.raises(ArtifactError, match="clusters"):
        NetworkConfig.from_json(value)


@torch.no_grad()
def test_salads_patches_are_shared_out_whole():
    """Each patch gives itself to the clusters and the dustbin; extreme scores do not overflow."""
    head = Salad(16, SaladOptions(20, 6, 5, 4, 8))
    shares = head.shares(100 * torch.randn(3, 6, 20, generator=torch.Generator().manual_seed(0)))
    assert torch.isfinite(shares).all() and float(shares.min()) >= 0
    assert float(shares.sum(dim=1).max()) <= 1 + 1e-5

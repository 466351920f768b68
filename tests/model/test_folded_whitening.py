"""A whitening behind a head that ends in a linear layer is part of that layer."""

import pytest
import torch

from helpers.checkpoints import tiny_transformers
from helpers.models import make_network, make_photos
from pocketvlad.model.backbones import random_backbone
from pocketvlad.model.fit import whiten_network
from pocketvlad.model.heads.gem import GemOptions
from pocketvlad.model.heads.salad import Salad, SaladOptions
from pocketvlad.model.network import Network, NetworkConfig, load_model, save_model
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.model.questions import Places
from pocketvlad.model.unit import unit_length
from pocketvlad.model.wanted import Wanted
from pocketvlad.model.whitening import fit_softened

__all__ = ["tiny_transformers"]  # a fixture
DIM, STRENGTH, COUNT = 6, 0.5, 12


def megaloc() -> Network:
    """MegaLoc's head, small."""
    options = SaladOptions(20, 8, 6, 10, 24, 16)
    config = NetworkConfig("dinov2_tiny14_class", Preprocess(56, 70), "salad", options, last_activation=True)
    torch.manual_seed(0)
    backbone = random_backbone(config.backbone, last_activation=True, size=config.size)
    return Network(config, backbone, Salad(config.channels, options)).eval()


def photos_of(network: Network) -> list[torch.Tensor]:
    height, width = network.config.size
    return [photo[:, :height, :width].contiguous() for photo in make_photos(COUNT, 72)]


@torch.no_grad()
@pytest.mark.parametrize("name", ["megaloc", "cosplace"])
def test_the_folded_layer_describes_as_the_two_layers_would(tiny_transformers, tmp_path, name):
    gem = ("squeezenet1_1", "gem", GemOptions(16, 3.0))
    network = megaloc() if name == "megaloc" else make_network(*gem, preprocess=Preprocess(64, 64))
    photos, unknown = photos_of(network), Places([None] * COUNT, [], [True] * COUNT)
    found = whiten_network(network, photos, unknown, Wanted(DIM, STRENGTH, 1)).network
    assert found.whitening is None and found.config.dim is None
    assert found.config.options.dim == found.outputs == DIM
    assert len(found.roles()) == len(network.roles()), "no second layer"

    given = []
    hook = network.head.linear.register_forward_hook(lambda module, inputs, output: given.append(output))
    for photo in photos:
        network(photo[None])
    hook.remove()
    before = torch.cat(given)
    wanted = unit_length(fit_softened(before, DIM, STRENGTH)(before))
    described = torch.cat([found(photo[None]) for photo in photos])
    # photos differ little before the whitening, which makes rounding as much louder as it makes them
    assert float(torch.cosine_similarity(described, wanted).min()) > 0.99999
    save_model(tmp_path / "m.safetensors", found, {})
    torch.testing.assert_close(load_model(tmp_path / "m.safetensors")(photos[0][None]), described[:1])

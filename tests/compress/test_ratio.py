"""A recipe's ratio is kept for models of every kind."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from helpers.checkpoints import tiny_transformers
from helpers.families import FAMILIES
from helpers.families import network as of_family
from helpers.models import make_model, make_network, make_photos
from pocketvlad.compress.calibrate.noise import NoiseCosts
from pocketvlad.compress.layers import compressible_layers
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.ratio import layer_bytes, with_promise
from pocketvlad.compress.recipe import LayerRecipe, Recipe, load_recipe
from pocketvlad.compress.sizes import float_bytes, model_bytes
from pocketvlad.model.heads.gem import GemOptions
from pocketvlad.model.network import Network
from pocketvlad.model.roles import PROJECTION

__all__ = ["tiny_transformers"]  # a fixture


def options_of(network: Network, name: str):
    """The options of every layer by the recipe as it is used for this network, and the layers' weights."""
    recipe, roles = with_promise(network, load_recipe(name)), network.roles()
    found = {layer: recipe.for_layer(layer, roles[layer]) for layer in roles}
    return found, {layer: module.weight.numel() for layer, module in compressible_layers(network).items()}


@pytest.mark.parametrize("name", [f"compact-{ratio}x" for ratio in (5, 8, 12, 16, 32, 48)])
def test_a_model_that_is_mostly_whitening_is_compressed_by_the_rules_alone(name):
    """SqueezeNet with 64 clusters and 512 dimensions, the model whose tables name these recipes."""
    recipe = load_recipe(name)
    assert with_promise(make_model("squeezenet1_1", 64, 512), recipe) == recipe


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_of_every_family_has_a_layout(tiny_transformers, family):
    network = of_family(family)
    layers = compressible_layers(network)
    for name in ("compact-16x", "compact-48x"):  # a sparse projection, and one in blocks
        options, _ = options_of(network, name)
        assert all(layer_bytes(layers[layer], each) > 0 for layer, each in options.items())


@torch.no_grad()
@pytest.mark.parametrize(("name", "ratio"), [("compact-5x", 5), ("compact-12x", 12)])
def test_a_model_of_convolutions_alone_takes_the_bytes_promised(name, ratio):
    network = make_network("squeezenet1_1", "gem", GemOptions(64, 3.0))
    compressed = compress_network(network, load_recipe(name), calibration=make_photos(4))
    assert float_bytes(compressed) / model_bytes(compressed) == pytest.approx(ratio, rel=0.04)


def test_a_smaller_layer_has_as_many_bits_as_a_larger_one_at_least():
    network = make_network("resnet18", "gem", GemOptions(512, 3.0))
    options, weights = options_of(network, "compact-8x")
    largest_first = sorted(weights, key=lambda name: -weights[name])
    bits = [options[name].bits for name in largest_first]
    # what is left of the bytes goes to the layers of fewest bits: one bit more at most
    assert all(smaller >= larger - 1 for larger, smaller in zip(bits, bits[1:], strict=False))
    assert bits[0] <= 4 and bits[-1] >= 6


def test_no_layer_of_a_model_without_a_wide_one_falls_below_two_bits():
    options, _ = options_of(make_network("resnet18", "gem", GemOptions(512, 3.0)), "compact-48x")
    assert {each.bits for each in options.values()} == {2}
    assert not any(each.block or each.sparsity for each in options.values())


def test_linear_layers_alone_keep_the_promise():
    """Two bits and a scale for each row are too much for a 16th; biases, which stay float32, are counted too."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(192, 384), nn.ReLU(), nn.Linear(384, 192))
    layers = compressible_layers(network)
    recipe = with_promise(network, Recipe(1, "sixteenth", LayerRecipe(8, row_scale="max"), ratio=16))
    used = sum(layer_bytes(module, recipe.for_layer(name)) for name, module in layers.items())
    whole = sum(4 * (module.weight.numel() + module.bias.numel()) for module in layers.values())
    assert 0.9 * whole / 16 < used <= whole / 16


def test_bytes_go_where_noise_costs_most():
    network = nn.Sequential(nn.Linear(512, 512), nn.Linear(512, 512))
    recipe = Recipe(1, "eighth", LayerRecipe(8, row_scale="max"), ratio=8)
    bits = [
        with_promise(network, recipe, partial(NoiseCosts, costs)).for_layer("1").bits
        for costs in ({"0": 16.0, "1": 1.0}, {"0": 1.0, "1": 16.0})
    ]
    assert bits[1] - bits[0] >= 2


def test_a_wide_layer_gets_the_setting_that_suits_its_weights():
    """Many small weights: pruned. Normally distributed ones: dense codes."""
    network = make_network("resnet18", "netvlad", dim=256)
    found = {}
    for kind in ("gaussian", "heavy-tailed"):
        drawn = torch.distributions.Normal(0, 1) if kind == "gaussian" else torch.distributions.StudentT(3)
        torch.manual_seed(0)
        network.whitening.weight.data = drawn.sample(network.whitening.weight.shape)
        options, _ = options_of(network, "compact-8x")
        assert network.roles()["whitening"] == PROJECTION
        found[kind] = options["whitening"]
    assert not found["gaussian"].sparsity
    assert found["heavy-tailed"].sparsity


def test_a_whitening_is_judged_by_what_it_reads():
    """Rows that are made of what they read, as principal directions are: what is pruned is missing in every answer."""
    torch.manual_seed(0)
    network = make_network("resnet18", "netvlad", dim=64)
    read = torch.distributions.StudentT(3).sample((8, network.whitening.in_features))
    read = read - read.mean(dim=0)
    network.whitening.weight.data = torch.randn(64, 8) @ read
    costs = dict.fromkeys(compressible_layers(network), 1.0)
    recipe = load_recipe("compact-12x")
    bytes_of = [
        layer_bytes(
            network.whitening,
            with_promise(network, recipe, partial(NoiseCosts, costs, inputs)).for_layer(
                "whitening", PROJECTION
            ),
        )
        for inputs in ({}, {"whitening": torch.randn_like(read)}, {"whitening": read})
    ]
    assert bytes_of[0] == bytes_of[1] < bytes_of[2]

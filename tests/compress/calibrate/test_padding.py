"""Padding of its own before a convolution, as TensorFlow's SAME needs it: in codes, in int8, in programs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pocketvlad.compress.calibrate.activations import quantized_at
from pocketvlad.compress.graph import traced
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import load_recipe
from pocketvlad.export.program import export_program
from pocketvlad.model.backbones import random_backbone
from pocketvlad.model.heads.netvlad import NetVlad, NetVladOptions
from pocketvlad.model.network import Network, NetworkConfig
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.runtime.runner import ProgramRunner


def test_padding_keeps_the_grid_of_what_it_reads():
    network = nn.Sequential(
        nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 4, 3, 2), nn.ReLU6(), nn.ZeroPad2d(1)
    ).eval()
    shared = quantized_at(traced(network))
    names = [node.name for node in traced(network).graph.nodes]
    photo, first, _, relu, second, _ = names
    assert shared[first] == photo and shared[second] == relu


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    options = NetVladOptions(clusters=4)
    config = NetworkConfig("efficientnet_lite0", Preprocess(64, 96), options=options)
    return Network(config, random_backbone("efficientnet_lite0"), NetVlad(320, options)).eval()


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize(
    ("recipe", "convolutions", "least"), [("compact-7x", None, 0.9999), ("compact-10x-int8", "int8", 0.98)]
)
def test_a_program_of_efficientnet_lite_is_its_torch_model(network, tmp_path, recipe, convolutions, least):
    photos = torch.randn(3, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    compressed = compress_network(network, load_recipe(recipe), calibration=photos)
    export_program(compressed, tmp_path / "m.pte", convolutions=convolutions)
    found = torch.from_numpy(ProgramRunner(tmp_path / "m.pte", threads=1)(photos[0].numpy()))
    assert torch.cosine_similarity(found, compressed.to_torch()(photos[:1])[0], dim=0) > least
    assert torch.cosine_similarity(found, network(photos[:1])[0], dim=0) > 0.95

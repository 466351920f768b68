"""Heads with several layers of one row: the parts before them run once for each view."""

import pytest
import torch
from torch import nn

from helpers.checkpoints import tiny_transformers
from pocketvlad.compress.calibrate.views import view_count
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import load_recipe
from pocketvlad.model.backbones import random_backbone
from pocketvlad.model.heads.salad import Salad, SaladOptions
from pocketvlad.model.network import Network, NetworkConfig
from pocketvlad.model.preprocess import Preprocess

__all__ = ["tiny_transformers"]  # a fixture


@torch.no_grad()
@pytest.mark.parametrize("recipe", ["compact-8x", "compact-48x"])
def test_the_backbone_runs_once_for_a_view_and_progress_ends_at_its_end(tiny_transformers, recipe):
    """compact-48x keeps one weight of every 16 of the layer of 1040 inputs."""
    options = SaladOptions(81, 64, 16, 16, 24, 40)
    config = NetworkConfig(
        "dinov2_tiny14_class", Preprocess(126, 126), "salad", options, last_activation=True
    )
    torch.manual_seed(0)
    backbone = random_backbone(config.backbone, last_activation=True, size=config.size)
    model = Network(config, backbone, Salad(32, options)).eval()
    photos, calls, steps = torch.randn(20, 3, 126, 126), [], []
    norm = backbone.norm
    assert isinstance(norm, nn.LayerNorm)
    norm.register_forward_hook(lambda module, inputs, output: calls.append(1))
    compress_network(
        model,
        load_recipe(recipe),
        calibration=photos,
        progress=lambda done, total: steps.append((done, total)),
    )
    views = view_count([(photo[None],) for photo in photos])
    # in both networks, once for the three layers of one row each; the rest finds out what computes in int8
    assert 2 * views <= len(calls) < 4 * views
    assert steps[-1][0] == steps[-1][1]

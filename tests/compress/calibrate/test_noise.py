"""What noise in a layer's weights costs, against noise itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from helpers.models import make_network, make_photos
from pocketvlad.compress.calibrate.noise import noise_costs
from pocketvlad.compress.layers import compressible_layers
from pocketvlad.model.heads.gem import GemOptions

SMALL = 1e-3


def measured(network: nn.Module, examples, name: str, draws: int = 8) -> float:
    """The squared change of the outputs by noise, relative to the noise's square and to what tells them apart."""

    def outputs():
        found = torch.cat([network(*each) for each in examples])
        return found - found.mean(dim=0)

    layer, wanted, changes = network.get_submodule(name), outputs(), []
    weight = layer.weight.data
    for seed in range(draws):
        noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
        size = weight.flatten(1).square().mean(dim=1).sqrt().reshape(-1, *[1] * (weight.dim() - 1))
        layer.weight.data = weight + SMALL * size * noise
        changes.append(float((outputs() - wanted).square().sum() / wanted.square().sum()))
    layer.weight.data = weight
    return sum(changes) / draws / SMALL**2


@torch.no_grad()
def test_costs_are_what_noise_changes():
    """Layers at both ends and in the middle; the bits they decide are the logarithms' halves."""
    network = make_network("squeezenet1_1", "gem", GemOptions(64, 3.0))
    examples = [(photo[None],) for photo in make_photos(4, 48)]
    costs = noise_costs(network, examples).costs
    assert list(costs) == list(compressible_layers(network))
    for name in list(costs)[::12]:
        assert costs[name] == pytest.approx(measured(network, examples, name), rel=0.5), name


def test_outputs_without_a_derivative_have_no_costs():
    class Rounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x):
            return self.layer(x).argmax(dim=1).float()

    found = noise_costs(Rounded(), [(torch.randn(1, 4),), (torch.randn(1, 4),)])
    assert not found.costs and not found.inputs

"""Folding a network: what is fused computes what the modules apart compute."""

import numpy as np
import pytest
import torch
from torch import nn

from pocketvlad.compress.codes.assignment import quantize_layer
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.export.pack import fold_network
from pocketvlad.lut.layers import LutConv2d
from pocketvlad.model.backbones import random_backbone


def packed(network):
    """The network folded, its convolutions at 8 bits; its own weights become those."""
    layers, biases = {}, {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            layers[name] = quantize_layer(module.weight.detach().numpy(), LayerRecipe(bits=8))
            module.weight.data = torch.from_numpy(layers[name].dequantize().reshape(module.weight.shape))
            if module.bias is not None:
                biases[name] = module.bias.detach().numpy()
    return fold_network(network, layers, biases, dict.fromkeys(layers, False))


@pytest.mark.parametrize(
    ("backbone", "pooled"),
    [("alexnet", 2), ("vgg16", 4), ("squeezenet1_1", 5), ("resnet18", 0), ("mobilenet_v2", 0)],
)
def test_fused_pooling_changes_nothing(backbone, pooled):
    torch.manual_seed(0)
    network = random_backbone(backbone).eval()
    folded = packed(network)
    with_pool = [module for module in folded.modules() if isinstance(module, LutConv2d) and module.pool]
    assert len(with_pool) == pooled
    x = torch.rand(1, 3, 96, 101)
    with torch.no_grad():
        expected, found = network(x).numpy(), folded(x).numpy()
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


class TwoReaders(nn.Module):
    """Pooling is not the only reader of what it pools."""

    def __init__(self):
        super().__init__()
        self.convolution, self.pool = nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2)

    def forward(self, x):
        y = self.convolution(x)
        return self.pool(y).sum() + y.sum()


class PaddedPool(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution, self.pool = nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(3, 2, padding=1)

    def forward(self, x):
        return self.pool(self.convolution(x))


@pytest.mark.parametrize("kind", [TwoReaders, PaddedPool])
def test_pooling_that_cannot_be_fused_stays(kind):
    torch.manual_seed(0)
    network = kind().eval()
    folded = packed(network)
    assert any(isinstance(module, nn.MaxPool2d) for module in folded.modules())
    x = torch.rand(1, 3, 20, 21)
    with torch.no_grad():
        assert torch.allclose(folded(x), network(x), rtol=1e-4, atol=1e-5)

"""Packing a network: what is fused computes what the modules apart compute."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.models import make_classifier, make_network, make_photos
from pocketvlad.compress.codes.assignment import quantize_layer
from pocketvlad.compress.codes.int8 import fast_weight, quantize_inputs_of
from pocketvlad.compress.compressed import Compressed
from pocketvlad.compress.graph import traced
from pocketvlad.compress.layers import compressible_layers
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import LayerRecipe, Recipe
from pocketvlad.errors import ExportError
from pocketvlad.export.pack import EXACT, FAST, MIXED, pack, pack_graph
from pocketvlad.lut.layers import LutConv1d, LutConv2d, LutLinear, LutVladPool
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.backbones import random_backbone
from pocketvlad.model.heads.base import HeadCodes
from pocketvlad.model.heads.gem import GemOptions
from pocketvlad.model.heads.netvlad import NetVladOptions
from pocketvlad.model.heads.scores import ScoresOptions
from pocketvlad.model.network import Network, NetworkConfig
from pocketvlad.model.preprocess import Preprocess


def packed(network):
    """The network packed, its layers at 8 bits; its own weights become those."""
    layers, biases = {}, {}
    for name, module in compressible_layers(network).items():
        layers[name] = quantize_layer(module.weight.detach().numpy(), LayerRecipe(bits=8))
        module.weight.data = torch.from_numpy(layers[name].dequantize())
        if module.bias is not None:
            biases[name] = module.bias.detach().numpy()
    return pack_graph(traced(network), HeadCodes(layers, biases, {}, dict.fromkeys(layers, False)))


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


class Activations(nn.Module):
    """Activations in every form they are written; one is read twice, one layer runs twice."""

    def __init__(self):
        super().__init__()
        self.module, self.function = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
        self.method, self.six, self.read_twice = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.twice, self.line, self.last = nn.Conv2d(4, 4, 1), nn.Conv1d(4, 4, 3), nn.Linear(4, 2)
        self.relu, self.relu6 = nn.ReLU(), nn.ReLU6()

    def forward(self, x):
        x = nn.functional.relu(self.function(self.relu(self.module(x))))
        x = self.relu6(self.six(self.method(x).relu()))
        y = self.read_twice(x)
        x = y.relu() + y
        x = self.twice(torch.relu(self.twice(x)))
        x = torch.relu(self.line(x.flatten(2)))
        return torch.relu(self.last(x.mean(dim=2)))


def test_activations_that_alone_read_a_layer_are_part_of_it():
    torch.manual_seed(0)
    network = Activations().eval()
    found = packed(network)
    fused = {n for n, m in found.named_modules() if getattr(m, "activation", 0)}
    assert fused == {"module", "function", "method", "six", "line", "last"}
    assert isinstance(found.get_submodule("line"), LutConv1d)
    x = 4 * torch.rand(1, 3, 5, 6)
    with torch.no_grad():
        assert torch.allclose(found(x), network(x), rtol=1e-4, atol=1e-5)


RECIPE = Recipe(1, "test", layer=LayerRecipe(bits=5, codebook="uniform", sparsity=0.6))
NETWORKS = {
    "squeezenet1_1": lambda: make_classifier("squeezenet1_1"),
    "mobilenet_v2": lambda: make_classifier("mobilenet_v2"),
    "resnet18": lambda: make_classifier("resnet18"),
    "gem": lambda: make_network("resnet18", "gem", GemOptions(dim=24)),
    "gem whitened": lambda: make_network("squeezenet1_1", "gem", GemOptions(power=2.5), dim=24),
    "netvlad": lambda: make_network("squeezenet1_1", "netvlad", NetVladOptions(4, assignment_bias=True)),
    "netvlad whitened": lambda: make_network("squeezenet1_1", "netvlad", NetVladOptions(4), dim=24),
    "caffe": lambda: make_network("alexnet_caffe", "netvlad", NetVladOptions(4)),
}


@pytest.fixture(scope="module", params=list(NETWORKS))
def compressed(request):
    return compress_network(NETWORKS[request.param](), RECIPE)


@torch.no_grad()
def test_the_packed_network_is_torch_on_dequantized_weights(compressed):
    x = make_photos(1, 96)
    expected, found = compressed.to_torch()(x), pack(compressed, EXACT)(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@torch.no_grad()
def test_the_int8_network_is_its_emulation_in_torch(compressed):
    x = make_photos(1, 96)
    emulated = compressed.to_torch()
    for name, lut in compressed.layers.items():
        layer = emulated.get_submodule(name)
        layer.weight.copy_(torch.from_numpy(fast_weight(lut)))
        quantize_inputs_of(layer)
    expected, found = emulated(x), pack(compressed, FAST)(x)
    # a sum near a rounding boundary of the next layer's input may fall to either side
    torch.testing.assert_close(found, expected, rtol=0, atol=0.03 * float(expected.abs().max()))


def test_no_layer_is_left_unpacked(compressed):
    found = pack(compressed, MIXED)
    assert not any(isinstance(m, (nn.Conv2d, nn.Linear, nn.Dropout, nn.Identity)) for m in found.modules())
    layers = [m for m in found.modules() if isinstance(m, (LutConv2d, LutLinear, LutVladPool))]
    assert len(layers) == len(compressed.layers)
    assert all(m.fast == isinstance(m, LutLinear) for m in layers)  # one row for each photo


@pytest.mark.parametrize("name", ["alexnet", "vgg16"])
@torch.no_grad()
def test_the_networks_of_the_paper(name):
    """At the input they are made for; random codes, since k-means on 10^8 weights takes minutes."""
    network = Network.empty(NetworkConfig(name, Preprocess(224, 224), "scores", ScoresOptions(name, 5)))
    random = np.random.default_rng(0)
    layers, biases = {}, {}
    for layer, module in compressible_layers(network).items():
        shape = tuple(module.weight.shape)
        codes = random.integers(0, 4, (shape[0], int(np.prod(shape[1:]))), np.uint8)
        codebook = np.float32([[-1.2, -0.4, 0.4, 1.2]]) / np.float32(codes.shape[1] ** 0.5)
        layers[layer] = LutTensor(shape, 2, codes, codebook)
        biases[layer] = random.normal(0, 0.1, shape[0]).astype(np.float32)
    made = Compressed(network, layers, biases)
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    expected, found = made.to_torch()(x), pack(made, EXACT)(x)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_unknown_semantics_are_refused():
    with pytest.raises(ExportError, match="unknown semantics; found 'slow'; allowed: mixed, exact, fast"):
        pack(compress_network(nn.Sequential(nn.Linear(2, 2)), RECIPE), "slow")

"""Both networks side by side: what a layer's stand-in is fitted to."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from pocketvlad.compress.calibrate.moments import layer_moments, location_count
from pocketvlad.compress.calibrate.walk import MAX_EXAMPLES, Walk, example_limit
from pocketvlad.compress.graph import traced


class Twice(nn.Module):
    """A layer that runs twice, and one that reads both of its outputs."""

    def __init__(self):
        super().__init__()
        self.first, self.shared, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        y = self.shared(self.first(x))
        return self.last(self.shared(y.relu()) + y)


class Doubled(nn.Module):
    """A stand-in that can be told from what it stands for."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return 2 * self.layer(x)


@torch.no_grad()
def test_every_layer_is_replaced_once_on_what_the_stand_ins_before_it_give():
    network = Twice().eval()
    examples = [(torch.randn(1, 4),) for _ in range(3)]
    seen = {}

    def replace(name, layer, node, plain, compressed):
        assert name not in seen
        seen[name] = plain, compressed
        return Doubled(layer)

    found = Walk(traced(network), frozenset({"first", "shared", "last"})).run(examples, examples, replace)
    assert list(seen) == ["first", "shared", "last"]
    for number, (x,) in enumerate(examples):
        first = network.first(x)
        y = network.shared(first)
        doubled = 2 * network.shared(2 * first)
        wanted = {
            "first": (x, x),
            "shared": (first, 2 * first),
            "last": (network.shared(y.relu()) + y, 2 * network.shared(doubled.relu()) + doubled),
        }
        for name, pair in wanted.items():
            for side in (0, 1):
                torch.testing.assert_close(seen[name][side][number], pair[side])
        torch.testing.assert_close(found(x), 2 * network.last(wanted["last"][1]))


@torch.no_grad()
def test_what_a_layer_reads_of_one_example_is_that_of_either_network():
    network, x = Twice().eval(), torch.randn(1, 4)
    walk, read = Walk(traced(network), frozenset({"first", "last"})), {}

    def replace(name, layer, node, plain, compressed):
        read[name] = [walk.input_of(node, (x,), compressed=side) for side in (False, True)]
        assert torch.equal(read[name][0], plain[0]) and torch.equal(read[name][1], compressed[0])
        return Doubled(layer)

    walk.run([(x,)], [(x,)], replace)
    assert not torch.equal(*read["last"])


LAYERS = {
    "convolution": (nn.Conv2d(4, 6, 3, stride=2, padding=1), (1, 4, 7, 9)),
    "grouped": (nn.Conv2d(4, 6, (3, 1), groups=2, dilation=2), (1, 4, 7, 9)),
    "pointwise": (nn.Conv2d(4, 6, 1), (1, 4, 7, 9)),
    "1-D": (nn.Conv1d(4, 6, 3, padding=2, groups=2), (1, 4, 11)),
    "tokens": (nn.Linear(4, 6), (1, 11, 4)),
    "few outputs": (nn.Linear(9, 2), (1, 11, 9)),
}


@pytest.mark.parametrize("kind", list(LAYERS))
@torch.no_grad()
def test_moments_are_those_of_what_the_layer_multiplies(kind):
    """The outputs' mean and second moment, from the moments of the inputs and from the outputs themselves."""
    torch.manual_seed(0)
    layer, shape = LAYERS[kind]
    inputs = [torch.randn(shape) + 0.5 for _ in range(3)]
    moments = layer_moments(layer, [2 * x for x in inputs], inputs, torch.Generator())
    channels, rows = layer.weight.shape[0], isinstance(layer, nn.Linear)
    outputs = torch.cat([
        (functional.linear(x, layer.weight) if rows else layer(x) - _bias(layer))
        .transpose(1, -1 if rows else 1).reshape(1, channels, -1)[0].T
        for x in inputs
    ])  # fmt: skip
    assert location_count(layer, inputs[0]) == len(outputs) / 3
    groups = moments.gram.shape[0]
    weight = layer.weight.reshape(groups, channels // groups, -1)
    mean = torch.einsum("goi,gi->go", weight, moments.mean).flatten()
    energy = torch.einsum("goi,gij,goj->go", weight, moments.gram, weight).flatten()
    torch.testing.assert_close(mean, outputs.mean(dim=0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(energy, outputs.var(dim=0, unbiased=False), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(moments.reference_mean, 2 * moments.mean)
    torch.testing.assert_close(moments.pull, weight @ moments.gram, rtol=1e-3, atol=1e-4)


def _bias(layer):
    return layer.bias.reshape(1, -1, *([1] * (layer.weight.dim() - 2)))


def test_large_examples_are_fewer():
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1))
    assert example_limit(network, (torch.empty(1, 1, 8, 8),)) == MAX_EXAMPLES
    with torch.device("meta"):
        large = nn.Sequential(nn.Conv2d(1, 64, 3, padding=1))
        assert example_limit(large, (torch.empty(1, 1, 1000, 1000),)) == 4_000_000_000 // (16 * 64_000_000)
    assert not any(module._forward_hooks for module in large.modules())

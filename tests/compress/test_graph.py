"""Any network as a graph whose layers are modules under their own names."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from pocketvlad.compress.graph import as_graph, traced
from pocketvlad.compress.layers import compressible_layers, layers_left
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import LayerRecipe, Recipe
from pocketvlad.errors import RecipeError
from pocketvlad.model.backbones import empty_backbone

EIGHT_BITS = Recipe(1, "test", layer=LayerRecipe(bits=8, row_scale="max"))


class Attention(nn.Module):
    """Tokens that look at each other, read as one vector."""

    def __init__(self):
        super().__init__()
        self.embed, self.score = nn.Linear(6, 16), nn.Linear(16, 5)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x):
        x = self.embed(x)
        return self.score((x + self.attention(x, x, x, need_weights=False)[0]).mean(dim=1))


class Encoder(nn.Module):
    """torch's own transformer layers, which take a path of their own in eval mode."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, dropout=0.1)
        self.layers, self.score = nn.TransformerEncoder(layer, 2), nn.Linear(16, 5)

    def forward(self, x):
        return self.score(self.layers(x)[:, 0])


class Branches(nn.Module):
    """Python decides by a value, which no symbol has, and by a shape."""

    def __init__(self):
        super().__init__()
        self.positive, self.negative = nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, x):
        chosen = self.positive if x.shape[0] == 1 else self.negative
        for _ in range(int(x.shape[1] // 4)):
            x = x * 2
        return chosen(x)


class Loop(nn.Module):
    """A loop over an axis, which symbols cannot run."""

    def __init__(self):
        super().__init__()
        self.each = nn.Linear(8, 4)

    def forward(self, x):
        return torch.stack([self.each(row) for row in x.unbind(1)], dim=1)


class Shared(nn.Module):
    """One layer under two names, used three times."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.again = self.first
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        return self.last(self.again(torch.relu(self.first(self.first(x)))))


class FunctionOfParameter(nn.Module):
    """A layer called as a function."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 4)
        self.projection = nn.Parameter(torch.randn(3, 4))

    def forward(self, x):
        return functional.linear(functional.linear(x, self.inner.weight, self.inner.bias), self.projection)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(5, 3)

    def forward(self, a, b):
        return self.left(a) + self.right(b), self.left(a)


def called(graph: torch.fx.GraphModule) -> set[str]:
    return {str(node.target) for node in graph.graph.nodes if node.op == "call_module"}


def make(kind, seed=0):
    torch.manual_seed(seed)
    return kind().eval()


@pytest.mark.parametrize(
    ("kind", "shape", "layers"),
    [
        (
            Attention,
            (1, 7, 6),
            {"embed", "score", "attention.out_proj", "attention.in_proj_weight_layer"},
        ),
        (
            Encoder,
            (1, 7, 16),
            {"score"}
            | {
                f"layers.layers.{number}.{layer}"
                for number in (0, 1)
                for layer in (
                    "linear1", "linear2", "self_attn.out_proj", "self_attn.in_proj_weight_layer",
                )
            },
        ),
        (Branches, (1, 8), {"positive"}),
        (Loop, (1, 3, 8), {"each"}),
        (Shared, (1, 8), {"first", "last"}),
        (FunctionOfParameter, (1, 6), {"inner", "projection_layer"}),
    ],
)  # fmt: skip
def test_every_layer_that_runs_is_a_module_under_its_own_name(kind, shape, layers):
    network, x, other = make(kind), torch.randn(shape), torch.randn(shape)
    graph = as_graph(network, (x,))
    found = compressible_layers(graph)
    assert set(found) & called(graph) == layers
    with torch.no_grad():
        torch.testing.assert_close(graph(other), network(other), rtol=1e-4, atol=1e-5)
    values = dict(network.named_parameters())
    for name in layers:
        if f"{name}.weight" in values:
            assert torch.equal(found[name].weight, values[f"{name}.weight"])


@pytest.mark.parametrize(
    ("kind", "shape"), [(Attention, (1, 7, 6)), (Encoder, (1, 7, 16)), (Loop, (1, 3, 8))]
)
def test_a_traced_network_compresses_whole(kind, shape):
    """At 8 bits every layer's codes reach the output: another code somewhere changes it."""
    network, examples = make(kind), [(torch.randn(shape),) for _ in range(4)]
    graph = as_graph(network, examples[0])
    compressed = compress_network(graph, EIGHT_BITS, example=examples[0])
    assert set(compressed.layers) >= called(graph) & set(compressible_layers(graph)) and not compressed.left
    dense = compressed.to_torch()
    with torch.no_grad():
        for (x,) in examples:
            wanted = network(x)
            assert functional.cosine_similarity(dense(x).flatten(), wanted.flatten(), 0) > 0.999
        for name in compressed.layers:
            before = dense(examples[0][0])
            layer = dense.get_submodule(name)
            layer.weight.mul_(1.5)
            assert not torch.equal(dense(examples[0][0]), before), name


@pytest.mark.parametrize("kind", [Attention, Encoder, Loop, FunctionOfParameter])
def test_what_symbols_cannot_trace_asks_for_an_example(kind):
    with pytest.raises(RecipeError, match=f"{kind.__name__} cannot be traced by symbols.*example input"):
        traced(make(kind))


def test_what_cannot_be_exported_either_is_one_line():
    class Values(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(x) if float(x.sum()) > 0 else x

    with pytest.raises(RecipeError, match="Values cannot be traced") as caught:
        as_graph(Values().eval(), (torch.ones(1, 4),))
    assert "\n" not in str(caught.value)


def test_several_inputs_and_outputs_stay_as_they_are():
    network, example = make(TwoInputs), (torch.randn(1, 4), torch.randn(1, 5))
    graph = as_graph(network, example)
    with torch.no_grad():
        found, wanted = graph(*example), network(*example)
    assert len(found) == 2 and all(torch.equal(f, w) for f, w in zip(found, wanted, strict=True))


def test_a_shared_layer_has_one_name_and_is_compressed_once():
    network, x = make(Shared), torch.randn(1, 8)
    graph = as_graph(network, (x,))
    assert set(compressible_layers(graph)) == {"first", "last"}
    compressed = compress_network(graph, Recipe(1, "test", layer=LayerRecipe(bits=2)), example=(x,))
    assert set(compressed.layers) == {"first", "last"}
    weight = torch.from_numpy(compressed.layers["first"].dequantize())
    bias = torch.from_numpy(compressed.biases["first"])
    with torch.no_grad():
        hidden = functional.linear(functional.linear(x, weight, bias), weight, bias).relu()
        hidden = functional.linear(hidden, weight, bias)
        last = torch.from_numpy(compressed.layers["last"].dequantize())
        expected = functional.linear(hidden, last, network.last.bias)
        torch.testing.assert_close(compressed.to_torch()(x), expected)


def test_a_shared_layer_is_calibrated_once():
    examples = [(torch.randn(1, 8),) for _ in range(12)]
    graph = as_graph(make(Shared), examples[0])
    recipe = Recipe(1, "test", layer=LayerRecipe(bits=8, row_scale="max", calibrate="gptq"))
    compressed = compress_network(graph, recipe, calibration=examples)
    assert set(compressed.layers) == {"first", "last"}
    with torch.no_grad():
        for (x,) in examples:
            torch.testing.assert_close(compressed.to_torch()(x), graph(x), rtol=0.1, atol=0.05)


def test_constants_that_a_function_multiplies_by_hide_no_layer():
    """The band of ones of CaffeNet's normalisation is no weight to compress: its graph needs no example."""
    graph = traced(empty_backbone("alexnet_caffe"))
    assert len(compressible_layers(graph)) == 5 and not layers_left(graph)


def test_a_graph_keeps_the_networks_values_and_leaves_out_what_does_nothing():
    network = nn.Sequential(nn.Linear(4, 4), nn.Identity(), nn.Dropout(0.5), nn.Linear(4, 2)).eval()
    graph = traced(network)
    assert called(graph) == {"0", "3"} and called(traced(graph)) == {"0", "3"}
    assert graph.get_submodule("0").weight is network[0].weight
    x = torch.randn(3, 4)
    assert torch.equal(graph(x), network(x))


def test_batch_norm_is_gone_from_a_graph_and_the_network_keeps_its_own():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))
    network.train()(torch.randn(8, 3, 9, 9))
    weight, x = network[0].weight.clone(), torch.randn(1, 3, 9, 9)
    graph = as_graph(network.eval(), (x,))
    assert called(graph) == {"0", "2", "3"}
    with torch.no_grad():
        torch.testing.assert_close(graph(x), network(x), rtol=1e-4, atol=1e-5)
    assert isinstance(network[1], nn.BatchNorm2d) and torch.equal(network[0].weight, weight)


class Normed(nn.Module):
    """A linear layer and a norm: over vectors, or over tokens, whose channels are not the layer's outputs."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(6, 5), nn.BatchNorm1d(5)

    def forward(self, x):
        return self.norm(self.linear(x))


@pytest.mark.parametrize(("shape", "left"), [((2, 6), {"linear"}), ((2, 5, 6), {"linear", "norm"})])
def test_batch_norm_behind_a_linear_layer_is_folded_where_it_reads_vectors(shape, left):
    network = make(Normed)
    network.train()(torch.randn(64, *shape[1:]) * 3 + 1)
    nn.init.normal_(network.norm.weight)
    x = torch.randn(shape)
    graph = as_graph(network.eval(), (x,))
    assert called(graph) == left
    with torch.no_grad():
        torch.testing.assert_close(graph(x), network(x), rtol=1e-4, atol=1e-5)

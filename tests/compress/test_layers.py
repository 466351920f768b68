"""Which layers compress, which are left and why, and which compute in int8."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.models import make_model
from pocketvlad.compress.graph import as_graph
from pocketvlad.compress.layers import Geometry, compressible_layers, layers_left, vector_layers
from pocketvlad.compress.post_training import compress_network, example_of
from pocketvlad.compress.recipe import LayerRecipe, Recipe
from pocketvlad.export.pack import EXACT, FAST, MIXED, pack
from pocketvlad.lut.layers import LutConv1d, LutConv2d, LutLinear
from pocketvlad.lut.tensor import MAX_COLUMNS

EIGHT_BITS = Recipe(1, "test", layer=LayerRecipe(bits=8, row_scale="max"))
CALIBRATED = Recipe(1, "test", layer=LayerRecipe(bits=8, row_scale="max", calibrate="gptq"))


class Mixed(nn.Module):
    """Layers with a packed form and layers without."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.reflected = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
        self.same = nn.Conv2d(8, 8, 3, padding="same")
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.table = nn.Embedding(5, 4)
        self.score = nn.Linear(4, 6)

    def forward(self, x):
        x = self.up(self.same(self.reflected(self.first(x).relu())))
        return self.score(x.mean(dim=(2, 3)) + self.table(torch.tensor([2])))


def test_layers_without_a_packed_form_are_named_and_stay_as_they_are():
    torch.manual_seed(0)
    network, x = Mixed().eval(), torch.randn(1, 3, 8, 8)
    compressed = compress_network(as_graph(network, (x,)), EIGHT_BITS, example=(x,))
    assert set(compressed.layers) == {"first", "score"}
    assert set(compressed.left) == {"reflected", "same", "up", "table"}
    assert "reflect" in compressed.left["reflected"] and "'same'" in compressed.left["same"]
    assert "ConvTranspose2d" in compressed.left["up"] and "Embedding" in compressed.left["table"]
    kept, values = compressed.rest(), dict(network.named_parameters())
    for name in compressed.left:
        assert kept[f"{name}.weight"].dtype == np.float32
        assert np.array_equal(kept[f"{name}.weight"], values[f"{name}.weight"].detach().numpy())
    with torch.no_grad():
        expected = compressed.to_torch()(x)
        torch.testing.assert_close(expected, network(x), rtol=0.05, atol=0.02)
        torch.testing.assert_close(pack(compressed, EXACT)(x), expected, rtol=1e-4, atol=1e-5)


def test_a_layer_too_wide_for_the_kernels_is_left():
    with torch.device("meta"):
        wide, fits = nn.Linear(MAX_COLUMNS + 1, 2), nn.Linear(MAX_COLUMNS, 2)
    network = nn.ModuleDict({"wide": wide, "fits": fits})
    assert set(compressible_layers(network)) == {"fits"}
    assert set(layers_left(network)) == {"wide"} and str(MAX_COLUMNS) in layers_left(network)["wide"]


CONVOLUTIONS = {
    "plain": (nn.Conv2d(6, 12, 3, padding=1), (1, 6, 11, 9)),
    "grouped": (nn.Conv2d(6, 12, 3, stride=2, groups=2, bias=False), (1, 6, 11, 9)),
    "depthwise": (nn.Conv2d(6, 6, (3, 5), padding=(1, 2), groups=6), (1, 6, 11, 9)),
    "dilated": (nn.Conv2d(6, 4, 3, dilation=2, padding=2), (1, 6, 11, 9)),
    "1-D": (nn.Conv1d(6, 12, 5, stride=2, padding=2), (1, 6, 23)),
    "1-D grouped": (nn.Conv1d(6, 12, 3, groups=3), (1, 6, 23)),
    "1-D depthwise": (nn.Conv1d(6, 6, 3, padding=2, dilation=2, groups=6, bias=False), (1, 6, 23)),
    "vector": (nn.Linear(24, 7), (1, 24)),
    "tokens": (nn.Linear(24, 7, bias=False), (1, 5, 24)),
    "grid": (nn.Linear(24, 7), (1, 3, 4, 24)),
}


def layer_alone(kind: str) -> tuple[nn.Module, list[tuple[torch.Tensor, ...]]]:
    """A network of one layer behind a ReLU, and examples."""
    layer, shape = CONVOLUTIONS[kind]
    generator = torch.Generator().manual_seed(0)
    return nn.Sequential(nn.ReLU(), layer).eval(), [
        (torch.randn(shape, generator=generator),) for _ in range(24)
    ]


@pytest.mark.parametrize("recipe", [EIGHT_BITS, CALIBRATED], ids=["weights", "calibrated"])
@pytest.mark.parametrize("kind", list(CONVOLUTIONS))
@torch.no_grad()
def test_every_kind_of_layer_is_compressed_and_packed(kind, recipe):
    network, examples = layer_alone(kind)
    calibration = examples if recipe.needs_photos else None
    compressed = compress_network(network, recipe, calibration=calibration, example=examples[0])
    assert set(compressed.layers) == {"1"} and not compressed.left
    assert compressed.layers["1"].shape == tuple(network[1].weight.shape)
    packed, dense = pack(compressed, EXACT), compressed.to_torch()
    for (x,) in examples[:4]:
        wanted = network(x)
        scale = float(wanted.abs().max())
        torch.testing.assert_close(packed(x), dense(x), rtol=1e-4, atol=1e-5 * scale)
        torch.testing.assert_close(packed(x), wanted, rtol=0, atol=0.03 * scale)
    expected = {nn.Conv1d: LutConv1d, nn.Conv2d: LutConv2d, nn.Linear: LutLinear}[type(network[1])]
    assert sum(isinstance(module, expected) for module in packed.modules()) == 1


# a depthwise row has a few weights: hardly any are left to make up for an error
@pytest.mark.parametrize("kind", [k for k in CONVOLUTIONS if k != "vector" and "depthwise" not in k])
@torch.no_grad()
def test_calibration_corrects_layers_of_many_rows_at_few_bits(kind):
    network, examples = layer_alone(kind)
    # neighbours alike, as in photos: what compensation lives on
    examples = [(x.cumsum(-1),) for (x,) in examples]
    layer = LayerRecipe(bits=3, row_scale="max", calibrate="gptq")
    found = compress_network(network, Recipe(1, "few", layer=layer), calibration=examples).to_torch()
    plain = compress_network(network, Recipe(1, "few", layer=LayerRecipe(3, row_scale="max"))).to_torch()
    errors = [
        sum(float((each(x) - network(x)).square().sum()) for (x,) in examples) for each in (found, plain)
    ]
    assert errors[0] < 0.8 * errors[1]


class VectorsAndTokens(nn.Module):
    """A linear layer over tokens, one behind the pooling, one over both."""

    def __init__(self):
        super().__init__()
        self.tokens, self.both, self.vector = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = self.both(self.tokens(x))
        return self.vector(self.both(x.mean(dim=1)))


def test_linear_layers_of_one_row_compute_in_int8():
    network, x = VectorsAndTokens().eval(), torch.randn(1, 5, 6)
    assert vector_layers(network, (x,)) == {"vector"}
    assert vector_layers(network, (torch.randn(1, 1, 6),)) == {"tokens", "both", "vector"}
    compressed = compress_network(as_graph(network, (x,)), EIGHT_BITS, example=(x,))
    assert compressed.int8 == {"vector"}
    fast = {semantics: _fast(pack(compressed, semantics)) for semantics in (EXACT, MIXED, FAST)}
    assert fast == {EXACT: set(), MIXED: {"vector"}, FAST: {"tokens", "both", "vector"}}


def _fast(packed: nn.Module) -> set[str]:
    return {name for name, module in packed.named_modules() if getattr(module, "fast", False)}


def test_rows_are_counted_without_values():
    model = make_model()
    example = example_of(model)
    assert example is not None and example[0].is_meta
    assert vector_layers(model, example) == {"whitening"}
    assert not any(parameter.is_meta for parameter in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_no_row_is_known_of_a_network_that_looks_at_values():
    class Looks(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(x) if bool(x.sum() > 0) else x

    assert vector_layers(Looks().eval(), (torch.ones(1, 4),)) == frozenset()


def test_without_an_example_nothing_is_said_to_be_one_row():
    assert compress_network(VectorsAndTokens().eval(), EIGHT_BITS).int8 == frozenset()


def test_a_1d_convolutions_window_is_one_high():
    assert Geometry.of(nn.Conv1d(2, 3, 5, stride=2, padding=4, dilation=3)) == Geometry(
        (1, 5), (1, 2), (0, 4), (1, 3)
    )
    assert Geometry.of(nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0))) == Geometry(
        (3, 2), (2, 1), (1, 0), (1, 1)
    )

"""Lookup convolutions with int8 activations from layer to layer: what the pass makes of graphs, and the programs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from helpers.models import make_model, make_photos
from pocketvlad.compress.calibrate.activations import GridFitter
from pocketvlad.compress.calibrate.int8_backbone import int8_backbone
from pocketvlad.compress.calibrate.walk import Walk
from pocketvlad.compress.codes.assignment import quantize_layer
from pocketvlad.compress.graph import traced
from pocketvlad.compress.post_training import as_inputs, compress_network
from pocketvlad.compress.recipe import LUT_INT8, LayerRecipe, LayerRule, Recipe
from pocketvlad.export.chains import chained, without
from pocketvlad.export.pack import pack_graph, torch_model
from pocketvlad.export.program import export_program
from pocketvlad.lut.int8_layers import (
    Int8Add,
    Int8Cat,
    Int8FromFloat,
    Int8LutConv2d,
    Int8MaxPool,
    Int8ToFloat,
)
from pocketvlad.lut.layers import LutConv2d
from pocketvlad.model.heads.base import HeadCodes
from pocketvlad.runtime.profile import profile_program
from pocketvlad.runtime.runner import ProgramRunner

LAYER = LayerRecipe(bits=8, codebook="uniform", row_scale="max")
RECIPE = Recipe(1, "test", layer=LAYER, rule=(LayerRule("whitening", bits=4),), convolutions=LUT_INT8)
SIDE = 64
OVERHEAD = 150_000  # bytes of a graph beside its weights


class Everything(nn.Module):
    """Each of the operations once; padding of one side before a strided depthwise convolution."""

    def __init__(self):
        super().__init__()
        self.first, self.deep = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, stride=2, groups=8)
        self.pad, self.short = nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(8, 8, 1, stride=2)
        self.left, self.right, self.last = (
            nn.Conv2d(8, 8, 1),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.Conv2d(16, 6, 1),
        )
        self.relu, self.relu6, self.pool = nn.ReLU(), nn.ReLU6(), nn.MaxPool2d(3, 2, padding=1)

    def forward(self, x):
        x = self.pool(self.relu(self.first(x)))
        x = self.relu(self.short(x) + self.relu6(self.deep(self.pad(x))))
        return self.last(torch.cat((self.relu(self.left(x)), self.right(x)), 1))


class OddChannels(nn.Module):
    """Six channels side by side are no whole quads, nor are the groups of three."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 6, 3), nn.Conv2d(3, 6, 3)
        self.grouped, self.last = nn.Conv2d(12, 12, 1, groups=4), nn.Conv2d(12, 8, 1)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.last(self.relu(self.grouped(torch.cat((self.left(x), self.right(x)), 1))))


def fitted(network: nn.Module) -> tuple[HeadCodes, dict]:
    """Codes of 8 bits and the grids of some photos."""
    convs = {name: m for name, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    layers = {name: quantize_layer(conv.weight.detach().numpy(), LAYER) for name, conv in convs.items()}
    biases = {name: conv.bias.detach().numpy() for name, conv in convs.items()}
    fitter, examples = GridFitter(network), as_inputs(make_photos(4))
    with torch.no_grad():
        Walk(traced(network), frozenset(convs)).run(
            examples, examples, lambda name, conv, node, z, x: conv, observe=fitter
        )
    return HeadCodes(layers, biases, {}, dict.fromkeys(layers, True)), fitter.grids


def chain_of(network: nn.Module):
    torch.manual_seed(0)
    codes, grids = fitted(network)
    graph, packed = chained(network, codes, grids)
    return pack_graph(graph, without(codes, packed)), packed, codes, grids


def kinds(graph: nn.Module) -> dict[str, int]:
    names = [type(module).__name__ for module in graph.modules()]
    return {name: names.count(name) for name in names}


def test_one_chain_from_the_photo_to_the_features():
    torch.manual_seed(0)
    network = Everything().eval()
    graph, packed, codes, grids = chain_of(network)
    assert packed == {"first", "deep", "short", "left", "right", "last"}
    found = kinds(graph)
    assert {kind.__name__: found.get(kind.__name__, 0) for kind in (Int8FromFloat, Int8ToFloat)} == {
        "Int8FromFloat": 1,
        "Int8ToFloat": 1,
    }
    assert all(found[kind.__name__] == 1 for kind in (Int8Add, Int8Cat, Int8MaxPool))
    assert found[Int8LutConv2d.__name__] == 6 and not {"ReLU", "ReLU6", "ZeroPad2d", "MaxPool2d"} & set(found)
    x = make_photos(2)[1:]
    with torch.no_grad():
        emulated = int8_backbone(network, codes.layers, codes.biases, grids)(x)
        y, plain = graph(x), network(x)
    steps = ((y - emulated) / grids["last"].scale).abs()
    assert steps.max() <= 2.001 and (steps > 0.5).float().mean() < 0.1
    assert functional.cosine_similarity(y.flatten(), plain.flatten(), 0) > 0.99


def test_what_the_kernels_do_not_take_stays_in_float32():
    network = OddChannels().eval()
    graph, packed, _, _ = chain_of(network)
    found = kinds(graph)
    assert packed == {"left", "right", "last"}
    assert found[LutConv2d.__name__] == 1 and Int8Cat.__name__ not in found
    x = make_photos(1)
    with torch.no_grad():
        assert functional.cosine_similarity(graph(x).flatten(), network(x).flatten(), 0) > 0.99


def test_no_grids_no_chain():
    network = Everything().eval()
    codes, _ = fitted(network)
    graph, packed = chained(network, codes, {})
    assert packed == frozenset()
    with torch.no_grad():
        assert torch.equal(graph(make_photos(1)), network(make_photos(1)))


@pytest.fixture(scope="module")
def lite0():
    return compress_network(make_model("efficientnet_lite0"), RECIPE, calibration=make_photos(4))


@pytest.fixture(scope="module")
def program(lite0, tmp_path_factory):
    path = tmp_path_factory.mktemp("chain") / "m.pte"
    export_program(lite0, path)
    return path


def test_a_program_keeps_int8_throughout_and_is_no_larger(program, lite0):
    assert (
        program.stat().st_size < 1.02 * sum(tensor.nbytes for tensor in lite0.tensors().values()) + OVERHEAD
    )
    calls = {row.op: row.calls for row in profile_program(program, runs=1).ops}
    assert calls["int8_from_float"] == calls["int8_to_float"] == 1 and "lut_conv2d" not in calls


def test_a_program_computes_what_its_torch_model_does(program, lite0):
    runner, model = ProgramRunner(program), torch_model(lite0, LUT_INT8)
    assert runner.info.convolutions == LUT_INT8
    for photo in make_photos(2):
        with torch.no_grad():
            assert model(photo[None])[0].numpy() @ runner.describe_tensor(photo.numpy()) > 0.998


def test_threads_change_nothing(program):
    x = make_photos(1)[0].numpy()
    one, two = (ProgramRunner(program, threads=threads).describe_tensor(x) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("options", [{"bits": 5}, {"sparsity": 0.5}], ids=["5 bits", "half of the weights"])
def test_codes_of_any_kind_keep_int8_throughout(tmp_path, options):
    """Unlike XNNPACK's kernels, which store whole bytes, ours read codes."""
    layer = replace(LAYER, codebook="kmeans", row_scale="none", **options)
    recipe = replace(RECIPE, layer=layer)
    compressed = compress_network(make_model("squeezenet1_1"), recipe, calibration=make_photos(2))
    export_program(compressed, tmp_path / "m.pte")
    runner, model = ProgramRunner(tmp_path / "m.pte"), torch_model(compressed, LUT_INT8)
    assert runner.info.convolutions == LUT_INT8
    for photo in make_photos(2):
        with torch.no_grad():
            assert model(photo[None])[0].numpy() @ runner.describe_tensor(photo.numpy()) > 0.998

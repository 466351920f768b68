"""Programs whose convolutions XNNPACK computes in int8, from the same codes and on calibrated grids."""

from __future__ import annotations

import dataclasses

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
from pocketvlad.compress.recipe import INT8, LUT, LUT_INT8, MEASURED, LayerRecipe, LayerRule, Recipe
from pocketvlad.dataset import Dataset, Photo
from pocketvlad.errors import ExportError
from pocketvlad.export import convolutions
from pocketvlad.export.check import check_delegated
from pocketvlad.export.lower import lower, operators, photo_example
from pocketvlad.export.pack import EXACT, FAST, MIXED, pack, torch_model
from pocketvlad.export.program import export_program
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.runtime.profile import DELEGATE, profile_program
from pocketvlad.runtime.runner import ProgramRunner
from pocketvlad.steps.export import check_program

LAYER = LayerRecipe(bits=8, codebook="uniform", row_scale="max")
RECIPE = Recipe(1, "test", layer=LAYER, rule=(LayerRule("whitening", bits=4),), convolutions=INT8)
SIDE = 64
OVERHEAD = 150_000  # bytes of a graph beside its weights


def compressed(backbone: str, recipe: Recipe = RECIPE):
    return compress_network(make_model(backbone), recipe, calibration=make_photos(4))


@pytest.fixture(scope="module")
def squeezenet():
    return compressed("squeezenet1_1")


@pytest.fixture(scope="module")
def program(squeezenet, tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "m.pte"
    export_program(squeezenet, path)
    return path


def chosen(path):
    """What a program says of its convolutions."""
    info = ProgramRunner(path).info
    return info.convolutions, info.convolutions_ms


class Everything(nn.Module):
    """Each of the operations once."""

    def __init__(self):
        super().__init__()
        self.first, self.deep = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.left, self.right, self.last = (
            nn.Conv2d(8, 8, 1),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.Conv2d(16, 8, 1),
        )
        self.relu, self.relu6, self.pool = nn.ReLU(), nn.ReLU6(), nn.MaxPool2d(3, 2, ceil_mode=True)

    def forward(self, x):
        x = self.pool(self.relu(self.first(x)))
        x = x + self.relu6(self.deep(x))
        return self.last(torch.cat((self.relu(self.left(x)), self.right(x)), 1))


def test_the_delegate_computes_the_emulation_up_to_a_step(tmp_path):
    """A sum near the middle between two steps may fall either way, and moves what is after it by about as much."""
    torch.manual_seed(0)
    network = Everything().eval()
    convs = {name: m for name, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    layers = {name: quantize_layer(conv.weight.detach().numpy(), LAYER) for name, conv in convs.items()}
    biases = {name: conv.bias.detach().numpy() for name, conv in convs.items()}
    fitter = GridFitter(network)
    with torch.no_grad():
        examples = as_inputs(make_photos(4))
        Walk(traced(network), frozenset(convs)).run(
            examples, examples, lambda name, conv, node, z, x: conv, observe=fitter
        )
        module = int8_backbone(network, layers, biases, fitter.grids)
        lowered = lower(module, photo_example(Preprocess(SIDE, SIDE)), {})
        assert operators(lowered) == []  # one delegate, nothing beside it
        path = tmp_path / "m.pte"
        with open(path, "wb") as file:
            lowered.write_to_file(file)
        from executorch.extension.pybindings import portable_lib

        run = portable_lib._load_for_executorch(str(path)).forward
        x = make_photos(2)[1:]
        expected, found, plain = module(x), run((x,))[0], network(x)
    steps = ((found - expected) / fitter.grids["last"].scale).abs()
    assert steps.max() <= 2.001 and (steps > 0.5).float().mean() < 0.1
    assert functional.cosine_similarity(expected.flatten(), plain.flatten(), 0) > 0.995


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenet_v2"])
def test_every_backbone_is_delegated_whole(backbone, tmp_path):
    """Its program holds a byte for a weight, no float32; torch and ExecuTorch agree on the descriptor."""
    model, path = compressed(backbone), tmp_path / "m.pte"
    size = export_program(model, path)
    weights = sum(tensor.nbytes for tensor in model.tensors().values())
    assert size < 1.02 * weights + OVERHEAD
    runner, torch_one = ProgramRunner(path), torch_model(model, INT8)
    for photo in make_photos(2):
        with torch.no_grad():
            assert torch_one(photo[None])[0].numpy() @ runner.describe_tensor(photo.numpy()) > 0.999


def test_no_convolution_is_left_to_another_kernel(program):
    ops = profile_program(program, runs=1).ops
    names = {row.op for row in ops if row.by == DELEGATE}
    assert any("QC8" in name for name in names)
    assert not any("F32" in name and "Convolution" in name for name in names)
    assert not any(row.op == "lut_conv2d" for row in ops)


def test_the_calibrated_model_is_the_program(squeezenet):
    assert squeezenet.int8 >= {name for name in squeezenet.layers if name.startswith("backbone.")}
    packed = pack(squeezenet, MIXED, INT8)
    x = make_photos(1)
    with torch.no_grad():
        assert torch.equal(packed.backbone(x), torch_model(squeezenet, INT8).backbone(x))


def test_grids_of_another_network_are_refused(squeezenet):
    fewer = dict(list(squeezenet.activations.items())[1:])
    with pytest.raises(ExportError, match="not this network's"):
        pack(dataclasses.replace(squeezenet, activations=fewer), MIXED, INT8)


def test_the_choice_is_in_the_program(program, squeezenet, tmp_path):
    assert chosen(program) == (INT8, {})
    float32 = tmp_path / "float32.pte"
    export_program(squeezenet.to_torch(), float32)
    assert chosen(float32) == (None, {})


@pytest.mark.parametrize("faster", [INT8, LUT_INT8, LUT])
def test_the_faster_is_kept_and_both_times_are_noted(squeezenet, program, tmp_path, monkeypatch, faster):
    ms = {INT8: 2.0, LUT_INT8: 2.0, LUT: 2.0} | {faster: 1.0}
    monkeypatch.setattr(convolutions, "time_in_turn", lambda modules, preprocess: {k: ms[k] for k in modules})
    path = tmp_path / "m.pte"
    export_program(squeezenet, path, convolutions=MEASURED)
    assert chosen(path) == (faster, ms)
    same = ProgramRunner(path).info.fingerprint == ProgramRunner(program).info.fingerprint
    assert same == (faster == INT8)  # times do not make another model, convolutions do


def test_all_backbones_are_timed(squeezenet):
    choice = convolutions.choose_convolutions(squeezenet, MEASURED, MIXED, Preprocess(SIDE, SIDE))
    assert set(choice.ms) == {INT8, LUT_INT8, LUT} and min(choice.ms.values()) > 0
    assert choice.ms[choice.convolutions] == min(choice.ms.values())


def test_what_cannot_be_chosen_is_one_clear_line(squeezenet):
    plain = dataclasses.replace(squeezenet, activations={})
    with pytest.raises(ExportError, match="no activation ranges"):
        convolutions.convolutions_of(plain, INT8, MIXED)
    with pytest.raises(ExportError, match="lut, lut-int8, int8, measured"):
        convolutions.convolutions_of(squeezenet, "int4", MIXED)
    with pytest.raises(ExportError, match="mixed, fast"):
        convolutions.convolutions_of(squeezenet, INT8, EXACT)
    assert convolutions.convolutions_of(squeezenet, LUT_INT8, MIXED) == LUT_INT8
    assert convolutions.convolutions_of(squeezenet, None, EXACT) == LUT
    assert convolutions.convolutions_of(squeezenet, None, FAST) == INT8
    with pytest.raises(ExportError, match="aten::convolution.out"):
        check_delegated(["aten::convolution.out", "pocketvlad::lut_linear.out"])


def test_the_program_is_checked_against_its_own_torch_model(program, squeezenet, tmp_path):
    from PIL import Image

    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(path)
    dataset = Dataset("one", (Photo(path, "photo"),), (), ())
    worst, skipped = check_program(ProgramRunner(program), squeezenet, dataset, Preprocess(SIDE, SIDE))
    assert worst > 0.99 and skipped == ()

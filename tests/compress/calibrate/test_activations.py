"""Activations and weights of a backbone that XNNPACK computes in int8."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.models import make_model
from pocketvlad import artifact
from pocketvlad.compress.calibrate.activations import ActivationGrid, fit_grid, quantized_at, trace
from pocketvlad.compress.calibrate.int8_backbone import Int8Conv2d, channel_weights
from pocketvlad.compress.codes.assignment import quantize_layer
from pocketvlad.compress.codes.int8 import fast_weight
from pocketvlad.compress.compressed import load_compressed, save_compressed
from pocketvlad.compress.post_training import compress_model
from pocketvlad.compress.recipe import LayerRecipe, Recipe
from pocketvlad.errors import ArtifactError, KernelError, RecipeError
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.backbones import build_backbone

EIGHT_BITS = LayerRecipe(bits=8, codebook="uniform", row_scale="max")
INT8 = Recipe(1, "test", layer=EIGHT_BITS, convolutions="int8")


@pytest.mark.parametrize(("low", "high"), [(0.0, 3.0), (-1.0, 5.0), (-7.0, 0.0), (-0.1, 0.1)])
def test_a_grid_holds_zero_and_is_off_by_half_a_step(low, high):
    grid = ActivationGrid.spanning(low, high)
    x = torch.linspace(low, high, 1001)
    assert grid.nearest(torch.zeros(1)) == 0
    assert (grid.nearest(x) - x).abs().max() <= grid.scale * 1.001  # the ends give half a step to zero
    assert (grid.nearest(x) - x).abs().median() <= grid.scale / 2


def test_zeros_have_a_grid():
    assert fit_grid([torch.zeros(1, 3, 4, 4)]) == ActivationGrid(1.0, -128)


def test_a_lone_outlier_does_not_coarsen_the_grid():
    x = torch.rand(1, 8, 256, 256)
    plain = fit_grid([x])
    x[0, 0, 0, 0] = 2
    assert plain.scale == pytest.approx(1 / 255, rel=0.01)
    assert fit_grid([x]).scale < 0.6 * 2 / 255


@pytest.mark.parametrize(
    "bad", [(0.0, 0), (-1.0, 0), (float("nan"), 0), (float("inf"), 0), (1, 0), (1.0, 128), (1.0, 0.5)]
)
def test_a_grid_that_is_none_is_refused(bad):
    with pytest.raises(KernelError, match="cannot be quantized"):
        ActivationGrid(*bad)


def test_what_is_side_by_side_or_pooled_shares_a_grid():
    shared = quantized_at(trace(build_backbone("squeezenet1_1")))
    assert shared["_3_expand1x1_activation"] == shared["_3_expand3x3_activation"] == shared["cat"] == "cat"
    assert shared["_2"] == shared["_1"] == "_1"
    assert "_0" not in shared  # its activation is part of it


def test_a_network_with_other_operations_is_refused():
    with pytest.raises(RecipeError, match="cannot be computed in int8 throughout"):
        quantized_at(trace(build_backbone("alexnet_caffe")))
    with pytest.raises(RecipeError, match="Sigmoid"):
        quantized_at(trace(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sigmoid())))


@pytest.mark.parametrize(
    "options", [EIGHT_BITS, LayerRecipe(8, sparsity=0.4, layout="dense"), LayerRecipe(8)]
)
def test_the_weights_are_those_of_the_lookup_kernels(random, options):
    lut = quantize_layer(random.standard_normal((6, 5, 3, 3)).astype(np.float32), options)
    weight, scale = channel_weights(lut)
    assert weight.dtype == np.int8 and weight.min() >= -127 and (scale > 0).all()
    found = weight * scale[:, None, None, None]
    assert np.allclose(found, fast_weight(lut), rtol=1e-6, atol=1e-7)
    assert ((found == 0) == (fast_weight(lut) == 0)).all()


def test_a_uniform_codebook_scaled_by_the_largest_weight_is_on_the_grid(random):
    lut = quantize_layer(random.standard_normal((6, 5, 3, 3)).astype(np.float32), EIGHT_BITS)
    weight, scale = channel_weights(lut)
    worst = np.abs(weight * scale[:, None, None, None] - lut.dequantize()).max(axis=(1, 2, 3))
    assert (worst <= scale / 2 * 1.001).all()


def test_scales_are_positive_whatever_the_fit_made_of_them():
    codebook = np.linspace(-1, 1, 256, dtype=np.float32)[None]
    codes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    lut = LutTensor((3, 4, 1, 1), 8, codes, codebook, np.array([-2, 0, 1], np.float32))
    weight, scale = channel_weights(lut)
    assert (scale > 0).all() and np.allclose(weight[0] * scale[0], fast_weight(lut)[0])


def test_a_bias_far_above_its_weights_fits_the_sums():
    codes = np.array([[0], [255]], np.uint8)
    codebook = np.linspace(-1, 1, 256, dtype=np.float32)[None]
    lut = LutTensor((2, 1, 1, 1), 8, codes, codebook, np.array([1e-12, 1], np.float32))
    bias = np.array([3.0, 0.5], np.float32)
    layer = Int8Conv2d(lut, bias, nn.Conv2d(1, 2, 1), 0.01)
    assert (np.abs(bias) / (layer.scale.numpy() * 0.01) <= 2**30).all()
    assert np.allclose(layer(torch.full((1, 1, 1, 1), 2.0)).flatten(), [3, 2.5], rtol=1e-4)
    assert layer.weight[1] == 127


def test_int8_convolutions_need_photos(model):
    assert INT8.needs_photos
    with pytest.raises(RecipeError, match="photos"):
        compress_model(model, INT8)


@pytest.mark.parametrize(
    "layer", [LayerRecipe(bits=5), LayerRecipe(threshold=0.1), LayerRecipe(layout="sparse")]
)
def test_int8_convolutions_are_whole_bytes(model, photos, layer):
    with pytest.raises(RecipeError, match="store whole bytes"):
        compress_model(model, Recipe(1, "test", layer=layer, convolutions="measured"), calibration=photos)


@pytest.fixture(scope="module")
def file(tmp_path_factory, photos):
    path = tmp_path_factory.mktemp("int8") / "c.safetensors"
    save_compressed(path, compress_model(make_model("alexnet"), INT8, calibration=photos), {})
    return path


def test_the_file_gives_back_the_grids(file, photos):
    compressed = compress_model(make_model("alexnet"), INT8, calibration=photos)
    assert compressed.activations and load_compressed(file).activations == compressed.activations


@pytest.mark.parametrize("bad", [[0.0, 0], [1.0, 300], [1.0], ["1", 0], None])
def test_a_file_with_damaged_grids_is_refused(file, tmp_path, bad):
    tensors, info = artifact.load_tensors(file, "compressed")
    info["activations"] = info["activations"] | {"_1": bad}
    damaged = tmp_path / "c.safetensors"
    artifact.save_tensors(damaged, "compressed", tensors, {k: v for k, v in info.items() if k != "kind"})
    with pytest.raises(ArtifactError, match="does not fit"):
        load_compressed(damaged)


def test_a_file_of_before_has_no_grids(model, tmp_path):
    path = tmp_path / "c.safetensors"
    save_compressed(path, compress_model(model, Recipe(1, "plain")), {})
    assert "activations" not in artifact.load_info(path)
    assert load_compressed(path).activations == {}

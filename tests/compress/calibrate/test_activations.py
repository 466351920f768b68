"""Where a backbone that XNNPACK computes in int8 has its activations quantized, and how finely."""

import pytest
import torch
from torch import nn

from helpers.models import make_model
from pocketvlad import artifact
from pocketvlad.compress.calibrate.activations import fit_grid, quantized_at
from pocketvlad.compress.compressed import load_compressed, save_compressed
from pocketvlad.compress.graph import traced
from pocketvlad.compress.grid import ActivationGrid
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import LayerRecipe, Recipe
from pocketvlad.errors import ArtifactError, RecipeError
from pocketvlad.model.backbones import empty_backbone

INT8 = Recipe(1, "test", layer=LayerRecipe(bits=8, codebook="uniform", row_scale="max"), convolutions="int8")


def test_zeros_have_a_grid():
    assert fit_grid([torch.zeros(1, 3, 4, 4)]) == ActivationGrid(1.0, -128)


def test_a_lone_outlier_does_not_coarsen_the_grid():
    x = torch.rand(1, 8, 256, 256)
    plain = fit_grid([x])
    x[0, 0, 0, 0] = 2
    assert plain.scale == pytest.approx(1 / 255, rel=0.01)
    assert fit_grid([x]).scale < 0.6 * 2 / 255


def test_what_is_side_by_side_or_pooled_shares_a_grid():
    shared = quantized_at(traced(empty_backbone("squeezenet1_1")))
    assert shared["_3_expand1x1_activation"] == shared["_3_expand3x3_activation"] == shared["cat"] == "cat"
    assert shared["_2"] == shared["_1"] == "_1"
    assert "_0" not in shared  # its activation is part of it


def test_a_network_with_other_operations_is_refused():
    with pytest.raises(RecipeError, match="cannot be computed in int8 throughout"):
        quantized_at(traced(empty_backbone("alexnet_caffe")))
    with pytest.raises(RecipeError, match="Sigmoid"):
        quantized_at(traced(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sigmoid())))


def test_int8_convolutions_need_photos(model):
    assert INT8.needs_photos
    with pytest.raises(RecipeError, match="photos"):
        compress_network(model, INT8)


@pytest.mark.parametrize(
    "layer", [LayerRecipe(bits=5), LayerRecipe(threshold=0.1), LayerRecipe(layout="sparse")]
)
def test_int8_convolutions_are_whole_bytes(model, photos, layer):
    with pytest.raises(RecipeError, match="store whole bytes"):
        compress_network(model, Recipe(1, "test", layer=layer, convolutions="measured"), calibration=photos)


@pytest.fixture(scope="module")
def file(tmp_path_factory, photos):
    path = tmp_path_factory.mktemp("int8") / "c.safetensors"
    save_compressed(path, compress_network(make_model("alexnet"), INT8, calibration=photos), {})
    return path


def test_the_file_gives_back_the_grids(file, photos):
    compressed = compress_network(make_model("alexnet"), INT8, calibration=photos)
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
    save_compressed(path, compress_network(model, Recipe(1, "plain")), {})
    assert "activations" not in artifact.load_info(path)
    assert load_compressed(path).activations == {}

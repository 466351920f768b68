"""Compressed networks: files, sizes, the whole post-training path."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from helpers.models import make_classifier, make_model, make_network, make_photos
from pocketvlad import artifact
from pocketvlad.compress.compressed import load_compressed, open_model, save_compressed
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import LayerRecipe, LayerRule, Recipe, load_recipe
from pocketvlad.compress.sizes import entropy, float_bytes, layer_sizes, model_bytes
from pocketvlad.errors import ArtifactError, RecipeError
from pocketvlad.model.heads.gem import GemOptions
from pocketvlad.model.network import save_model

SPARSE = Recipe(1, "test", layer=LayerRecipe(bits=5, sparsity=0.6), rule=(LayerRule("whitening", bits=3),))


def test_eight_bits_keep_the_descriptor(model, photos):
    compressed = compress_network(model, Recipe(1, "plain"))
    with torch.inference_mode():
        cosines = (model(photos) * compressed.to_torch()(photos)).sum(dim=1)
    assert cosines.min() > 0.99


@pytest.mark.parametrize("backbone", ["alexnet", "mobilenet_v2", "resnet18"])
def test_every_layer_of_every_backbone_is_compressed(backbone):
    source = make_model(backbone, dim=None)
    compressed = compress_network(source, Recipe(1, "plain", layer=LayerRecipe(bits=3)))
    names = {name for name, tensor in source.named_parameters() if tensor.dim() > 1} - {"head.centroids"}
    assert {f"{name}.weight" for name in compressed.layers} == names
    assert compressed.to_torch()(make_photos(1)).shape == (1, source.outputs)


def test_the_file_gives_back_the_model(model, tmp_path):
    compressed = compress_network(model, SPARSE)
    path = tmp_path / "c.safetensors"
    save_compressed(path, compressed, {"model": "x"})
    loaded = load_compressed(path)
    for name, tensor in compressed.tensors().items():
        assert np.array_equal(loaded.tensors()[name], tensor)
    assert loaded.config == compressed.config and loaded.recipe == compressed.recipe
    for name, lut in compressed.layers.items():
        assert np.array_equal(lut.dequantize(), loaded.layers[name].dequantize())
    assert artifact.load_info(path)["fingerprint"]


@pytest.fixture(scope="module", params=["squeezenet1_1", "mobilenet_v2", "resnet18"])
def classifier(request):
    """A classifier and what a recipe makes of it."""
    rules = (LayerRule("head.layers.classifier.1", bits=8, sparsity=0.0),)
    network = make_classifier(request.param)
    recipe = Recipe(1, "test", layer=LayerRecipe(bits=5, sparsity=0.6), rule=rules)
    return network, compress_network(network, recipe)


def test_every_convolution_and_linear_layer_of_a_classifier_is_compressed(classifier):
    network, compressed = classifier
    kinds = (nn.Conv2d, nn.Linear)
    assert list(compressed.layers) == [n for n, each in network.named_modules() if isinstance(each, kinds)]
    assert not compressed.left and not compressed.rest()
    sizes = layer_sizes(compressed)
    assert sum(size.total for size in sizes) == model_bytes(compressed)
    assert float_bytes(compressed) == 4 * sum(each.numel() for each in network.parameters())
    assert 4 * sum(size.weights for size in sizes) / model_bytes(compressed) > 7


def test_a_classifiers_layers_of_one_row_compute_in_int8(classifier):
    network, compressed = classifier
    linear = {name for name, each in network.named_modules() if isinstance(each, nn.Linear)}
    assert compressed.int8 == linear


def test_a_classifiers_file_holds_the_same(classifier, tmp_path):
    network, compressed = classifier
    path = tmp_path / "c.safetensors"
    save_compressed(path, compressed, {"model": "x"})
    again = open_model(path)
    assert again.config == compressed.config == network.config and again.recipe == compressed.recipe
    assert again.int8 == compressed.int8
    assert all(np.array_equal(each, again.tensors()[name]) for name, each in compressed.tensors().items())
    save_model(tmp_path / "m.safetensors", network, {})
    with pytest.raises(ArtifactError, match="not a compressed file; found a model file"):
        load_compressed(tmp_path / "m.safetensors")
    x = make_photos(1)
    with torch.no_grad():
        assert torch.equal(open_model(tmp_path / "m.safetensors")(x), network(x))
        assert torch.equal(again.to_torch()(x), compressed.to_torch()(x))


def test_a_file_that_is_no_model_is_refused(tmp_path):
    artifact.save_tensors(tmp_path / "f", "features", {"a": np.zeros(2)}, {})
    with pytest.raises(ArtifactError, match="holds no model; found a features file"):
        open_model(tmp_path / "f")


def test_a_classifier_is_calibrated_on_photos(photos):
    network = make_classifier("resnet18")
    layer = LayerRecipe(bits=4, row_scale="max")
    plain = compress_network(network, Recipe(1, "plain", layer=layer))
    fitted = Recipe(1, "fitted", layer=dataclasses.replace(layer, calibrate="gptq"))
    calibrated = compress_network(network, fitted, calibration=photos)
    assert "head.layers.fc" in calibrated.int8
    with torch.inference_mode():
        errors = [(each.to_torch()(photos) - network(photos)).norm() for each in (calibrated, plain)]
    assert errors[0] < 0.5 * errors[1]


def test_a_gem_heads_projection_is_compressed_and_computes_in_int8(photos):
    network = make_network("resnet18", "gem", GemOptions(dim=24))
    compressed = compress_network(network, Recipe(1, "plain", layer=LayerRecipe(row_scale="max")))
    assert "head.linear" in compressed.layers and compressed.int8 == {"head.linear"}
    assert compressed.roles()["head.linear"] == "projection"
    with torch.inference_mode():
        assert (network(photos) * compressed.to_torch()(photos)).sum(dim=1).min() > 0.99


def test_the_network_given_is_left_as_it_is(photos):
    network = make_model()
    before = {name: each.clone() for name, each in network.state_dict().items()}
    compressed = compress_network(network, Recipe(1, "plain", layer=LayerRecipe(bits=2)))
    assert all(torch.equal(before[name], each) for name, each in network.state_dict().items())
    assert all(each.is_meta for each in compressed.skeleton.parameters())


def test_a_file_that_contradicts_itself_is_refused(model, tmp_path):
    compressed = compress_network(model, SPARSE)
    tensors, path = compressed.tensors(), tmp_path / "c.safetensors"
    save_compressed(path, compressed, {})
    info = artifact.load_info(path)
    del tensors["whitening.packed"]
    artifact.save_tensors(path, "compressed", tensors, {k: info[k] for k in info if k != "kind"}, force=True)
    with pytest.raises(ArtifactError, match="does not fit"):
        load_compressed(path)


def test_sizes_are_the_bytes_of_the_arrays(model, tmp_path):
    compressed = compress_network(model, SPARSE)
    sizes = layer_sizes(compressed)
    assert sum(size.total for size in sizes) == model_bytes(compressed)
    assert sum(size.share for size in sizes) == pytest.approx(1)
    for size in sizes[:-1]:
        lut = compressed.layers[size.layer]
        assert size.pruned == pytest.approx(float((lut.dequantize() == 0).mean()))
        assert size.entropy <= size.bits + 1
        assert size.mask + size.codes == lut.packed.nbytes
    assert float_bytes(compressed) == 4 * sum(p.numel() for p in model.parameters())
    path = tmp_path / "c.safetensors"
    save_compressed(path, compressed, {})
    assert 0 < path.stat().st_size - model_bytes(compressed) < 40_000


def test_entropy_of_known_counts():
    assert entropy(np.array([4, 4, 0])) == 1
    assert entropy(np.array([[2, 2], [4, 0]])) == 0.5


@pytest.mark.parametrize("name", ["paper-8bit", "paper-5bit"])
def test_the_papers_recipes_need_no_photos(model, name):
    recipe = load_recipe(name)
    compressed = compress_network(model, recipe)
    assert all(lut.bits == int(name[6]) for lut in compressed.layers.values())


def test_a_recipe_that_calibrates_asks_for_photos(model):
    with pytest.raises(RecipeError, match="photos"):
        compress_network(model, Recipe(1, "needy", layer=LayerRecipe(calibrate="gptq")))


@pytest.mark.parametrize("part", ["whitening.packed", "whitening.codebook", "whitening.bias"])
def test_codes_that_changed_in_the_file_are_refused(model, tmp_path, part):
    path = tmp_path / "c.safetensors"
    save_compressed(path, compress_network(model, SPARSE), {})
    tensors, _ = artifact.load_tensors(path, "compressed")
    at = path.read_bytes().index(tensors[part].tobytes())
    data = bytearray(path.read_bytes())
    data[at + tensors[part].nbytes // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match="is damaged"):
        load_compressed(path)

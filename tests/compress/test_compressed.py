"""Compressed models: files, sizes, the whole post-training path."""

import numpy as np
import pytest
import torch

from helpers.models import make_model, make_photos
from pocketvlad import artifact
from pocketvlad.compress.compressed import load_compressed, save_compressed
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import LayerRecipe, LayerRule, Recipe, load_recipe
from pocketvlad.compress.sizes import entropy, float_bytes, layer_sizes, model_bytes
from pocketvlad.errors import ArtifactError, RecipeError

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

"""Classifiers: compressed post-training, the packed network equals torch on dequantized weights."""

import numpy as np
import pytest
import torch
import torchvision
from pocketvlad.compress.classifier import (
    COMPRESSED_KIND,
    CompressedClassifier,
    compress_classifier,
    load_compressed_classifier,
    save_compressed_classifier,
)
from pocketvlad.export.classifier import fold_classifier
from pocketvlad.model.classifier import (
    ClassifierConfig,
    classifier_from_weights,
    empty_network,
    load_classifier,
    save_classifier,
)
from torch import nn

from pocketvlad import artifact
from pocketvlad.compress.codes.int8 import fast_weight, quantize_inputs_of
from pocketvlad.compress.compressed import load_compressed
from pocketvlad.compress.post_training import compressible_layers
from pocketvlad.compress.recipe import LayerRecipe, LayerRule, Recipe
from pocketvlad.compress.sizes import layer_sizes
from pocketvlad.compress.train_recipe import TrainRecipe
from pocketvlad.errors import ArtifactError, CheckpointError, RecipeError
from pocketvlad.importer.torchvision import build_classifier, load
from pocketvlad.lut.layers import LutConv2d, LutLinear
from pocketvlad.lut.tensor import LutTensor

RECIPE = Recipe(
    1, "test", layer=LayerRecipe(bits=5, sparsity=0.6), rule=(LayerRule("*.1", bits=8, sparsity=0.0),)
)
SMALL = ("squeezenet1_1", "mobilenet_v2", "resnet18")


def classifier(name, classes=7):
    """torchvision's own initialisation of a fixed seed, batch norms with real statistics."""
    torch.manual_seed(0)
    network = getattr(torchvision.models, name)(weights=None, num_classes=classes)
    if name in ("mobilenet_v2", "resnet18"):
        network.train()(torch.randn(4, 3, 64, 64))
    return build_classifier(load(network.eval().state_dict()).backbone)


@pytest.fixture(scope="module", params=SMALL)
def pair(request):
    original = classifier(request.param)
    return original, compress_classifier(original, RECIPE)


@torch.no_grad()
def test_the_packed_network_is_torch_on_dequantized_weights(pair):
    _, compressed = pair
    x = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    expected = compressed.to_torch()(x)
    found = fold_classifier(compressed, "exact")(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@torch.no_grad()
def test_the_int8_network_is_its_emulation_in_torch(pair):
    _, compressed = pair
    x = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    emulated = compressed.to_torch()
    for name, lut in compressed.layers.items():
        layer = emulated.network.get_submodule(name)
        layer.weight.copy_(torch.from_numpy(fast_weight(lut)))
        quantize_inputs_of(layer)
    expected, found = emulated(x), fold_classifier(compressed, "fast")(x)
    # a sum near a rounding boundary of the next layer's input may fall to either side
    torch.testing.assert_close(found, expected, rtol=0, atol=0.03 * float(expected.abs().max()))


def test_every_convolution_and_linear_layer_is_compressed(pair):
    original, compressed = pair
    assert list(compressed.layers) == list(compressible_layers(original.network))
    folded = fold_classifier(compressed)
    assert not any(isinstance(m, (nn.Conv2d, nn.Linear, nn.Dropout)) for m in folded.modules())
    packed = [m for m in folded.modules() if isinstance(m, (LutConv2d, LutLinear))]
    assert len(packed) == len(compressed.layers)
    assert all(m.fast == isinstance(m, LutLinear) for m in packed)  # mixed
    sizes = layer_sizes(compressed)
    assert sum(size.total for size in sizes) == sum(a.nbytes for a in compressed.tensors().values())
    weights = sum(size.weights for size in sizes)
    assert 4 * weights / sum(size.total for size in sizes) > 7


def test_a_saved_file_holds_the_same(pair, tmp_path):
    _, compressed = pair
    path = tmp_path / "c.safetensors"
    save_compressed_classifier(path, compressed, {"model": "x"})
    assert artifact.load_info(path)["kind"] == COMPRESSED_KIND
    again = load_compressed_classifier(path)
    assert again.config == compressed.config and again.recipe["name"] == "test"
    assert all(np.array_equal(a, again.tensors()[name]) for name, a in compressed.tensors().items())
    with pytest.raises(ArtifactError, match="not a compressed file; found a compressed-classifier file"):
        load_compressed(path)


def test_an_uncompressed_file_holds_the_same(tmp_path):
    original = classifier("resnet18")
    save_classifier(tmp_path / "m.safetensors", original, {})
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(load_classifier(tmp_path / "m.safetensors")(x), original(x))


@pytest.mark.parametrize("name", ["alexnet", "vgg16"])
@torch.no_grad()
def test_the_networks_of_the_paper(name):
    """At the input they are made for; random codes, since k-means on 10^8 weights takes minutes."""
    config = ClassifierConfig(name, 5)
    random = np.random.default_rng(0)
    layers, biases = {}, {}
    for layer, module in compressible_layers(empty_network(config)).items():
        shape = tuple(module.weight.shape)
        codes = random.integers(0, 4, (shape[0], int(np.prod(shape[1:]))), np.uint8)
        codebook = np.float32([[-1.2, -0.4, 0.4, 1.2]]) / np.float32(codes.shape[1] ** 0.5)
        layers[layer] = LutTensor(shape, 2, codes, codebook)
        biases[layer] = random.normal(0, 0.1, shape[0]).astype(np.float32)
    compressed = CompressedClassifier(config, layers, biases)
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    expected = compressed.to_torch()(x)
    found = fold_classifier(compressed, "exact")(x)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_recipes_that_need_places_are_refused():
    original = classifier("squeezenet1_1")
    with pytest.raises(RecipeError, match="places; allowed: .*paper-8bit"):
        compress_classifier(original, Recipe(1, "tuned", train=TrainRecipe()))
    with pytest.raises(RecipeError, match="places"):
        compress_classifier(original, Recipe(1, "seen", layer=LayerRecipe(calibrate="gptq")))


def test_weights_of_another_network_are_refused():
    weights = torchvision.models.squeezenet1_1(weights=None, num_classes=3).state_dict()
    with pytest.raises(CheckpointError, match="not those of the classifier resnet18"):
        classifier_from_weights(ClassifierConfig("resnet18", 3), weights)
    with pytest.raises(CheckpointError, match="unknown classifier"):
        classifier_from_weights(ClassifierConfig("lenet", 3), weights)

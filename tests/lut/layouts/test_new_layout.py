"""A layout the package does not have, defined here: one class and one entry take it the whole way."""

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from helpers.models import make_model
from pocketvlad.compress.codes.assignment import make_grid, quantize_layer
from pocketvlad.compress.codes.compensation import Curvature, compensate_grid
from pocketvlad.compress.compressed import load_compressed, save_compressed
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.ratio import layer_bytes
from pocketvlad.compress.recipe import load_recipe
from pocketvlad.compress.sizes import layer_sizes
from pocketvlad.compress.train.clustered import ClusteredLayer
from pocketvlad.errors import ArtifactError, KernelError
from pocketvlad.lut import native, packing, reference
from pocketvlad.lut.layers import LutLinear
from pocketvlad.lut.layouts import LAYOUTS, Layout, PackedLut
from pocketvlad.lut.tensor import LutTensor

RECIPE = (
    'version = 1\nname = "new"\n[layer]\nbits = 3\n[[rule]]\nmatch = "whitening"\nlayout = "two-of-four"\n'
)


@dataclass(frozen=True)
class TwoOfFour(Layout):
    """2:4 sparsity: a row is four bits for every block, one for each weight that stays, then the survivors' codes."""

    name: ClassVar[str] = "two-of-four"
    numbers: ClassVar[tuple[int, ...]] = (77,)
    masked: ClassVar[bool] = True

    @property
    def group(self) -> int:
        return 4

    def chosen(self, sizes: np.ndarray) -> np.ndarray:
        keep = np.zeros(sizes.shape, bool)
        np.put_along_axis(keep, np.argsort(-sizes, axis=-1, kind="stable")[..., :2], True, axis=-1)
        return keep

    def pack(self, shape, bits, codes, mask) -> PackedLut:
        blocks = np.packbits(mask.reshape(shape[0], -1, 4), axis=2, bitorder="little")[..., 0]
        positions = packing.pack_codes(blocks, 4)
        levels = packing.pack_codes(codes[mask].reshape(shape[0], -1), bits)
        return PackedLut(np.concatenate([positions, levels], axis=1))

    def unpack(self, shape, bits, packed):
        head = packing.row_bytes(shape[1] // 4, 4)
        blocks = packing.unpack_codes(packed.packed[:, :head], 4, shape[1] // 4)
        mask = (
            np.unpackbits(blocks[..., None], axis=2, bitorder="little")[..., :4].reshape(shape).astype(bool)
        )
        codes = np.zeros(shape, np.uint8)
        codes[mask] = packing.unpack_codes(packed.packed[:, head:], bits, shape[1] // 2).ravel()
        return codes, mask

    def packed_bytes(self, shape, bits, kept=None) -> int:
        del kept
        return shape[0] * (packing.row_bytes(shape[1] // 4, 4) + packing.row_bytes(shape[1] // 2, bits))

    def mask_bytes(self, shape) -> int:
        return shape[0] * packing.row_bytes(shape[1] // 4, 4)


@pytest.fixture
def recipe(monkeypatch, tmp_path):
    monkeypatch.setitem(LAYOUTS, TwoOfFour.name, TwoOfFour)
    path = tmp_path / "new.toml"
    path.write_text(RECIPE)
    return load_recipe(path)


def keeps_two_of_four(lut: LutTensor) -> bool:
    return bool((lut.mask.reshape(lut.rows, -1, 4).sum(axis=2) == 2).all())


def test_a_layer_from_its_recipe_to_the_reference(recipe):
    weight = np.random.default_rng(0).normal(size=(24, 64)).astype(np.float32)
    lut = quantize_layer(weight, recipe.for_layer("whitening"))
    assert lut.layout == TwoOfFour() and keeps_two_of_four(lut)
    assert np.abs(weight[lut.mask]).sum() > 1.5 * np.abs(weight[~lut.mask]).sum()
    x = np.random.default_rng(1).normal(size=(5, 64)).astype(np.float32)
    expected = x @ lut.dequantize().T
    np.testing.assert_allclose(reference.lut_linear(x, lut), expected, rtol=1e-5, atol=1e-5)
    found = LutLinear(lut, None, fast=False)(torch.from_numpy(x))  # packed, named by its number, unpacked
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(KernelError, match="layout"):
        native.lut_linear(x, lut)  # its kernels are what is left to write


def test_calibration_and_training_choose_by_its_groups(recipe):
    weight = np.random.default_rng(0).normal(size=(24, 64)).astype(np.float32)
    options = recipe.for_layer("whitening")
    curvature = Curvature(torch.eye(64)[None] + 0.5)
    lut = compensate_grid(torch.from_numpy(weight), make_grid(weight, options), options, [curvature])
    assert lut.layout == TwoOfFour() and keeps_two_of_four(lut)
    layer = ClusteredLayer(lut, torch.from_numpy(-weight[::-1].copy()))
    layer.prune(0, 0)
    layer.cluster()
    trained = layer.lut()
    assert keeps_two_of_four(trained) and not np.array_equal(trained.mask, lut.mask)


def test_a_model_through_its_file_and_its_sizes(recipe, tmp_path, monkeypatch):
    model, path = make_model(), tmp_path / "c.safetensors"
    compressed = compress_network(model, recipe)
    save_compressed(path, compressed, {})
    loaded = load_compressed(path)
    lut, again = compressed.layers["whitening"], loaded.layers["whitening"]
    assert again.layout == TwoOfFour() and np.array_equal(again.dequantize(), lut.dequantize())
    size = next(size for size in layer_sizes(loaded) if size.layer == "whitening")
    assert size.layout == "two-of-four" and size.pruned >= 0.5
    assert size.total == layer_bytes(model.whitening, recipe.for_layer("whitening"))
    assert json.loads(json.dumps(lut.layout.describe())) == {"layout": "two-of-four"}
    monkeypatch.delitem(LAYOUTS, TwoOfFour.name)
    with pytest.raises(ArtifactError, match="two-of-four"):
        load_compressed(path)

"""Weights and biases of a backbone that XNNPACK computes in int8."""

import numpy as np
import pytest
import torch
from torch import nn

from pocketvlad.compress.calibrate.int8_backbone import Int8Conv2d, channel_weights
from pocketvlad.compress.codes.assignment import quantize_layer
from pocketvlad.compress.codes.int8 import fast_weight
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.lut.tensor import LutTensor

EIGHT_BITS = LayerRecipe(bits=8, codebook="uniform", row_scale="max")


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

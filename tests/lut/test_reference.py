"""The NumPy reference against torch, and its own stated error budget."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from pocketvlad.lut import reference
from pocketvlad.lut.layers import LutConv1d, LutConv2d, LutLinear, LutVladPool
from pocketvlad.lut.layouts import Bitmap, Dense
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.heads.netvlad import NetVlad, NetVladOptions


def make_lut(shape, bits, seed=0, sparse=False, groups=1, scaled=True):
    random = np.random.default_rng(seed)
    rows, columns = shape[0], int(np.prod(shape[1:]))
    mask = random.random((rows, columns)) < 0.5 if sparse else None
    codes = random.integers(0, 2**bits, (rows, columns)).astype(np.uint8)
    codebook = random.standard_normal((groups, 2**bits)).astype(np.float32)
    scale = (0.5 + random.random(rows)).astype(np.float32) if scaled else None
    return LutTensor(tuple(shape), bits, codes, codebook, scale, mask, Bitmap() if sparse else Dense())


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 7, 8])
def test_linear_ops_equal_torch(bits, sparse):
    lut = make_lut((37, 130), bits, sparse=sparse, groups=2)
    x = np.random.default_rng(3).standard_normal((4, 130)).astype(np.float32)
    bias = np.linspace(-1, 1, 37, dtype=np.float32)
    layer = LutLinear(lut, bias, fast=False, activation=reference.RELU)
    expected = torch.relu(
        functional.linear(torch.from_numpy(x), torch.from_numpy(lut.dequantize()), torch.from_numpy(bias))
    )
    torch.testing.assert_close(layer(torch.from_numpy(x)), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("groups", "stride", "padding", "dilation", "kernel"),
    [(1, 1, 1, 1, 3), (2, 2, 0, 1, 3), (1, 1, 2, 2, 3), (6, 1, 1, 1, 3), (1, 4, 2, 1, 11), (1, 1, 0, 1, 1)],
)
def test_conv_op_equals_torch(groups, stride, padding, dilation, kernel):
    like = torch.nn.Conv2d(6, 12, kernel, stride, padding, dilation, groups)
    _assert_equals_torch(like, LutConv2d, functional.conv2d, (23, 19))


@pytest.mark.parametrize(
    ("groups", "stride", "padding", "dilation", "kernel"),
    [(1, 1, 1, 1, 3), (2, 2, 0, 1, 3), (1, 1, 4, 2, 5), (6, 1, 1, 1, 3)],
)
def test_one_dimensional_conv_op_equals_torch(groups, stride, padding, dilation, kernel):
    like = torch.nn.Conv1d(6, 12, kernel, stride, padding, dilation, groups)
    _assert_equals_torch(like, LutConv1d, functional.conv1d, (23,))


def _assert_equals_torch(like, layer_class, convolve, size):
    """The op of 6 channels of that size, with bias and ReLU6, beside torch's with the same weights."""
    lut = make_lut(tuple(like.weight.shape), 5)
    x = torch.randn(2, 6, *size, generator=torch.Generator().manual_seed(0))
    bias = np.linspace(-1, 1, 12, dtype=np.float32)
    layer = layer_class(lut, bias, like, fast=False, activation=reference.RELU6)
    geometry = (like.stride, like.padding, like.dilation, like.groups)
    expected = convolve(x, torch.from_numpy(lut.dequantize()), torch.from_numpy(bias), *geometry)
    torch.testing.assert_close(layer(x), expected.clamp(0, 6), rtol=1e-5, atol=1e-4)


def test_vlad_pool_equals_the_torch_module():
    head = NetVlad(16, NetVladOptions(8, assignment_bias=True))
    lut = make_lut((8, 16, 1, 1), 8)
    centroids = np.random.default_rng(1).integers(-127, 128, (8, 16)).astype(np.int8)
    scale = np.full(8, 0.01, np.float32)
    bias = np.linspace(-1, 1, 8, dtype=np.float32)
    with torch.no_grad():
        head.assignment.weight.copy_(torch.from_numpy(lut.dequantize()))
        head.assignment.bias.copy_(torch.from_numpy(bias))
        head.centroids.copy_(torch.from_numpy(centroids * scale[:, None]))
        x = torch.randn(2, 16, 5, 7)
        layer = LutVladPool(lut, bias, centroids, scale, fast=False)
        torch.testing.assert_close(layer(x), head(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_fast_stays_within_its_stated_budget(bits):
    lut = make_lut((20, 500), bits, groups=4)
    x = np.random.default_rng(5).standard_normal((3, 500)).astype(np.float32)
    exact = reference.lut_linear(x, lut)
    fast = reference.lut_linear(x, lut, fast=True)
    weight = lut.dequantize()
    step_x = np.abs(x).max(axis=1) / 127
    step_c = (np.abs(lut.codebook).max(axis=1) / 127)[np.arange(20) // lut.rows_per_group] * lut.row_scale
    budget = np.abs(weight).sum(axis=1) * step_x[:, None] / 2 + np.abs(x).sum(axis=1)[:, None] * step_c / 2
    second_order = 500 * step_x[:, None] * step_c / 4
    assert (np.abs(fast - exact) <= budget + second_order + 1e-4).all()
    assert np.abs(fast - exact).max() > 0


def test_the_int8_grid_changes_nothing_in_fast_mode():
    lut = make_lut((9, 200), 8, groups=3)
    x = np.random.default_rng(2).standard_normal((2, 200)).astype(np.float32)
    grid = reference.on_grid(lut)
    levels, _ = reference.quantize_codebook(grid.codebook)
    np.testing.assert_array_equal(levels, np.broadcast_to(np.maximum(np.arange(256) - 128, -127), (3, 256)))
    np.testing.assert_allclose(
        reference.lut_linear(x, grid, fast=True),
        reference.lut_linear(x, lut, fast=True),
        rtol=1e-5,
        atol=1e-5,
    )


def test_ops_have_shapes_without_data():
    lut = make_lut((12, 6, 3, 3), 4)
    layer = LutConv2d(lut, None, torch.nn.Conv2d(6, 12, 3, 2, 1), fast=True, activation=0)
    with torch.device("meta"):
        x = torch.empty(2, 6, 20, 30)
    assert layer.to("meta")(x).shape == (2, 12, 10, 15)


@pytest.mark.parametrize("size", [3, 4, 7, 8, 9, 20])
@pytest.mark.parametrize(
    ("kernel", "stride", "ceil"), [(2, 2, False), (3, 2, True), (3, 2, False), (2, 3, True)]
)
def test_max_pool_is_torchs(kernel, stride, ceil, size):
    x = np.random.default_rng(size).normal(size=(2, 3, size, size + 1)).astype(np.float32)
    expected = functional.max_pool2d(torch.from_numpy(x), kernel, stride, ceil_mode=ceil).numpy()
    found = reference.max_pool(x, reference.MaxPool(kernel, stride, ceil))
    assert np.array_equal(found, expected)

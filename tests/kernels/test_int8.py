"""The kernels of int8 activations against NumPy, every instruction set in turn; and NumPy against torch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional

from helpers.machines import forced
from int8_cases import CONV, Case, all_cases, conv_case
from lut_cases import random_lut
from pocketvlad.core import native as library
from pocketvlad.errors import KernelError
from pocketvlad.lut import int8, int8_native
from pocketvlad.lut.int8 import Grid

CASES = list(all_cases())
GRID = Grid(0.05, 3)


@pytest.fixture(params=library.isa_names())
def isa(request):
    yield from forced(request.param)


@pytest.mark.parametrize("kind", range(5))
def test_the_same_bits_as_numpy(isa, kind):
    """One test a kind and instruction set: the names of the cases that differ."""
    cases = [case for case in CASES if case.kind == kind]
    assert cases and [case.name for case in cases if not _same(case)] == []


def _same(case: Case) -> bool:
    found = case.run()
    return found.dtype == case.expected.dtype and np.array_equal(found, case.expected)


def test_results_differ_and_reach_both_ends():
    """A comparison of constant images would prove nothing."""
    convolutions = [case.expected for case in CASES if case.kind == CONV]
    unclamped = [case.expected for case in CASES if case.options.get("activation") == 0]
    assert all(np.unique(y).size > 8 for y in unclamped)
    assert min(y.min() for y in convolutions) == -128 and max(y.max() for y in convolutions) == 127


@pytest.mark.parametrize("activation", [0, 1, 2])
@pytest.mark.parametrize(
    ("shape", "groups", "stride"), [((9, 6, 3, 3), 1, 1), ((8, 1, 3, 3), 8, 2), ((8, 4, 1, 1), 2, 1)]
)
def test_a_convolution_is_torchs_up_to_half_a_step(shape, groups, stride, activation):
    rng = np.random.default_rng(0)
    lut, bias = random_lut(rng, shape, 8), rng.normal(size=shape[0]).astype(np.float32)
    source, out = Grid(0.05, -4), Grid(0.25, 9)
    x = rng.normal(size=(1, shape[1] * groups, 12, 14)).astype(np.float32)
    image = int8.from_float(x, source)
    found = int8.conv2d(
        image,
        lut,
        bias,
        source,
        out,
        stride=(stride, stride),
        padding=(1, 0, 0, 1) if shape[2] == 3 else (0, 0, 0, 0),
        groups=groups,
        activation=activation,
    )
    seen = torch.from_numpy(int8.to_float(image, x.shape[1], source))
    padded = functional.pad(seen, (0, 1, 1, 0)) if shape[2] == 3 else seen
    weights, row = int8.integer_weights(lut)
    weight = torch.from_numpy((weights * row[:, None]).astype(np.float32).reshape(shape))
    y = functional.conv2d(padded, weight, torch.from_numpy(bias), stride, groups=groups)
    y = (y, y.relu(), functional.relu6(y))[activation].numpy()
    wanted = np.clip(y, (-128 - out.zero) * out.scale, (127 - out.zero) * out.scale)
    assert np.abs(int8.to_float(found, shape[0], out) - wanted).max() <= out.scale * 0.5 + 1e-4


def test_a_sum_is_the_sum_up_to_a_step():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-128, 128, (1, 2, 5, 6, 4)).astype(np.int8) for _ in range(2))
    grids = Grid(0.02, -7), Grid(0.033, 5), Grid(0.041, 2)
    found = int8.add(a, grids[0], b, grids[1], grids[2])
    values = [
        (q.astype(np.float64) - grid.zero) * grid.scale for q, grid in zip((a, b), grids[:2], strict=True)
    ]
    wanted = np.clip(sum(values) / grids[2].scale + 2, -128, 127)
    assert np.abs(found - wanted).max() <= 0.52


@pytest.mark.parametrize(("kernel", "stride", "padding", "ceil"), [(3, 2, 1, False), (3, 2, 0, True)])
def test_pooling_is_torchs(kernel, stride, padding, ceil):
    q = np.random.default_rng(0).integers(-128, 128, (1, 6, 11, 14)).astype(np.int8)
    found = int8.from_quads(
        int8.max_pool(int8.to_quads(q, 0), kernel, stride, padding, ceil=ceil), channels=6
    )
    wanted = functional.max_pool2d(torch.from_numpy(q).float(), kernel, stride, padding, 1, ceil).numpy()
    np.testing.assert_array_equal(found, wanted)


def test_the_largest_sums_fit(isa):
    """66,000 products of the largest weight and the activation farthest from its zero."""
    lut = random_lut(np.random.default_rng(0), (4, 66000 // 16, 4, 4), 1)
    lut.codebook[:] = [[-1, 1]]
    lut.codes[:2], lut.codes[2:] = 0, 1
    x = np.full((1, 66000 // 64 + 1, 4, 4, 4), 127, np.int8)
    x[:, :, ::2] = -128
    out = Grid(1e5, 0)
    for zero in (-128, 127):
        expected = int8.conv2d(x, lut, None, Grid(0.5, zero), out)
        np.testing.assert_array_equal(int8_native.conv2d(x, lut, None, Grid(0.5, zero), out), expected)


def test_a_bias_that_is_no_number_counts_as_none(isa):
    case = conv_case(np.random.default_rng(0), 3, False, (8, 8, 1, 1), (5, 5), {}, 0)
    found = [
        int8_native.conv2d(case.x[0], case.lut, np.full(8, value, np.float32), *case.grids)
        for value in (0, np.nan, np.inf)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("groups", [1, 8])
def test_what_no_int32_holds_is_clamped(isa, groups):
    """A grid so fine that values to round lie beyond 2^31 on both sides."""
    case = conv_case(
        np.random.default_rng(0), 5, False, (8, 8 // groups, 3, 3), (9, 20), {"groups": groups}, 0
    )
    grids = case.grids[0], Grid(1e-9, 3)
    found = int8_native.conv2d(case.x[0], case.lut, case.bias, *grids, groups=groups)
    expected = int8.conv2d(case.x[0], case.lut, case.bias, *grids, groups=groups)
    np.testing.assert_array_equal(found, expected)
    assert set(np.unique(found)) >= {-128, 127}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"padding": (3, 0, 0, 0)}, "shape"),
        ({"stride": (0, 1)}, "shape"),
        ({"groups": 3}, "shape"),
        ({"source": Grid(0.0, 0)}, "grid"),
        ({"source": Grid(float("nan"), 0)}, "grid"),
        ({"out": Grid(0.1, 128)}, "grid"),
        ({"activation": 3}, "activation"),
    ],
)
def test_refuses_what_is_no_convolution(change, text):
    rng = np.random.default_rng(0)
    arguments = {"source": GRID, "out": GRID, "padding": (1, 1, 1, 1)} | change
    with pytest.raises(KernelError, match=text):
        int8_native.conv2d(
            np.zeros((1, 2, 6, 6, 4), np.int8), random_lut(rng, (4, 8, 3, 3), 4), None, **arguments
        )


def test_refuses_a_kernel_so_wide_that_offsets_are_not_int32():
    """Rows of three channels are joined once for each column of the kernel: 751 copies of the image."""
    lut = random_lut(np.random.default_rng(0), (4, 3, 1, 1001), 1)
    conv = int8_native.convolution(np.zeros((1, 1, 2200, 3000, 4), np.int8), lut, GRID, GRID)
    assert int8_native.kernels().pv_i8_conv_check(int8_native.c_lut(lut), conv) < 0
    narrow = int8_native.convolution(np.zeros((1, 1, 220, 3000, 4), np.int8), lut, GRID, GRID)
    assert int8_native.kernels().pv_i8_conv_check(int8_native.c_lut(lut), narrow) == 0


def test_refuses_a_sum_on_a_grid_too_fine():
    image = np.zeros((1, 1, 2, 2, 4), np.int8)
    for module in (int8, int8_native):
        with pytest.raises(KernelError, match="grid"):
            module.add(image, Grid(1.0, 0), image, Grid(1.0, 0), Grid(1e-4, 0))


def test_refuses_rows_between_tiles():
    rng, core = np.random.default_rng(0), int8_native.kernels()
    case = conv_case(rng, 4, False, (24, 8, 1, 1), (5, 5), {}, 0)
    view = int8_native.c_lut(case.lut)
    conv = int8_native.convolution(case.x[0], case.lut, *case.grids)
    for begin, end in itertools.combinations((0, 4, 8, 12, 24, 25), 2):
        refused = begin % 8 != 0 or (end % 8 != 0) or end > 24
        scratch = np.empty(core.pv_i8_conv_scratch_bytes(view, conv), np.uint8)
        worker = np.empty(core.pv_i8_conv_worker_bytes(view, conv), np.uint8)
        y = np.empty_like(case.expected)
        core.pv_i8_conv_prepare(view, conv, scratch.ctypes.data)
        pointers = (a.ctypes.data for a in (case.x[0], scratch, worker, y))
        assert (core.pv_i8_conv_rows(view, conv, *pointers, begin, end) < 0) == refused

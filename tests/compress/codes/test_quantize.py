"""Pruning, codebooks and layouts of one layer."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketvlad.compress.codes.assignment import quantize_layer
from pocketvlad.compress.codes.prune import cubic_schedule, survivors_above
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.errors import RecipeError

WEIGHT = np.random.default_rng(0).standard_t(4, (24, 5, 3, 3)).astype(np.float32) * 0.1


@pytest.mark.parametrize("layout", ["dense", "sparse", "auto"])
@pytest.mark.parametrize("codebook", ["kmeans", "uniform"])
@pytest.mark.parametrize("bits", [1, 2, 5])
def test_pruned_weights_are_exactly_zero_in_every_layout(bits, codebook, layout):
    recipe = LayerRecipe(bits=bits, codebook=codebook, threshold=0.08, layout=layout)
    lut = quantize_layer(WEIGHT, recipe)
    decoded = lut.dequantize()
    pruned = np.abs(WEIGHT) < 0.08
    assert pruned.any() and np.all(decoded[pruned] == 0)
    assert (lut.mask is not None) == (layout == "sparse" or (layout == "auto" and bits > 1))
    levels = np.unique(decoded)
    assert levels.size <= (1 << bits) + (lut.mask is not None)


@given(st.floats(0, 0.99))
@settings(max_examples=25, deadline=None)
def test_target_sparsity_prunes_that_share(sparsity):
    lut = quantize_layer(WEIGHT, LayerRecipe(bits=2, sparsity=sparsity, layout="sparse"))
    assert abs((~lut.mask).mean() - sparsity) <= 1 / WEIGHT.size


def test_threshold_keeps_what_equals_it():
    assert survivors_above(np.array([0.5, -0.5, 0.49], np.float32), 0.5).tolist() == [True, True, False]


def test_more_bits_lose_less():
    decoded = [quantize_layer(WEIGHT, LayerRecipe(bits=bits)).dequantize() for bits in range(1, 9)]
    errors = [float(((values - WEIGHT) ** 2).sum()) for values in decoded]
    assert all(a > b for a, b in itertools.pairwise(errors))


def test_row_scales_and_row_groups_serve_rows_of_unequal_size():
    rows = WEIGHT * np.geomspace(0.01, 10, 24)[:, None, None, None].astype(np.float32)

    def relative(recipe: LayerRecipe) -> float:
        lut = quantize_layer(rows, recipe)
        error = ((lut.dequantize() - rows) ** 2).sum(axis=(1, 2, 3)) / (rows**2).sum(axis=(1, 2, 3))
        return float(error.mean())

    plain = relative(LayerRecipe(bits=4))
    assert relative(LayerRecipe(bits=4, row_scale="rms")) < plain / 10
    assert relative(LayerRecipe(bits=4, rows_per_codebook=3)) < plain / 10


def test_uneven_row_groups_match_the_format():
    lut = quantize_layer(WEIGHT, LayerRecipe(bits=5, rows_per_codebook=7))
    assert lut.groups == 4 and lut.rows_per_group == 6
    best = np.abs(WEIGHT.reshape(24, -1)[:6, :, None] - lut.codebook[0]).min(axis=2)
    found = np.abs(WEIGHT.reshape(24, -1)[:6] - lut.dequantize().reshape(24, -1)[:6])
    assert np.allclose(best, found, atol=1e-6)


def test_a_layer_of_zeros_and_a_fully_pruned_one():
    assert not quantize_layer(np.zeros((3, 4), np.float32), LayerRecipe(bits=2)).dequantize().any()
    for layout in ("dense", "sparse"):
        lut = quantize_layer(WEIGHT, LayerRecipe(bits=3, threshold=1e6, layout=layout))
        assert not lut.dequantize().any()


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(RecipeError, match="not finite"):
        quantize_layer(np.array([[1.0, np.nan]], np.float32), LayerRecipe())


def test_the_schedule_rises_and_arrives():
    values = [cubic_schedule(0.8, step, 10) for step in range(13)]
    assert values[0] == 0 and values[10:] == [0.8] * 3
    assert all(a <= b for a, b in itertools.pairwise(values))


@pytest.mark.parametrize("block", [2, 4, 8, 16])
def test_blocks_keep_their_largest_weight(block):
    matrix = WEIGHT.reshape(24, -1)
    lut = quantize_layer(matrix, LayerRecipe(bits=2, block=block, row_scale="soft"))
    for row, kept in zip(matrix, lut.mask, strict=True):
        for start in range(0, len(row), block):
            part = np.abs(row[start : start + block])
            assert kept[start : start + block].sum() == 1 and kept[start + part.argmax()]
    assert set(np.unique(lut.codes)) <= {0, 1, 2, 3} and lut.codebook.shape == (1, 4)


def test_blocks_are_for_matrices():
    with pytest.raises(RecipeError, match="no matrix"):
        quantize_layer(WEIGHT, LayerRecipe(bits=1, block=4))


@pytest.mark.parametrize("row_scale", ["none", "rms", "max", "soft"])
@pytest.mark.parametrize("codebook", ["kmeans", "uniform"])
@pytest.mark.parametrize("shape", [(8, 16), (300, 200)])  # the larger one is summed into bins
def test_tiny_weights_are_quantized_as_others_are(row_scale, codebook, shape):
    """2**-120: their squares are zero in float32. And inputs that are always zero weigh nothing."""
    weight = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    recipe = LayerRecipe(bits=4, row_scale=row_scale, codebook=codebook)
    found = quantize_layer(np.ldexp(weight, -120), recipe).dequantize()
    wanted = quantize_layer(weight, recipe).dequantize()
    np.testing.assert_allclose(np.ldexp(found.astype(np.float64), 120), wanted, atol=0.01)
    silent = quantize_layer(weight, recipe, np.zeros(shape[1], np.float32))
    assert np.isfinite(silent.dequantize()).all()
    denormal = quantize_layer((weight * 1e-40).astype(np.float32), recipe).dequantize()
    assert np.isfinite(denormal).all() and np.abs(denormal).max() <= 1e-38

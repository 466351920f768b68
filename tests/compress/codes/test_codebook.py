"""The 1-D k-means against brute force and scikit-learn; codebooks and assignment."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from pocketvlad.compress.codes.codebook import assign, kmeans_codebook, summarize, uniform_codebook

RELATIVE_EPSILON = 1e-6  # small inputs are solved exactly, up to float32 centroids
MERGED_EPSILON = 0.01  # past 1024 distinct values: never worse than scikit-learn's best restart by more


def distortion(values: np.ndarray, codebook: np.ndarray) -> float:
    return float(((values[:, None].astype(np.float64) - codebook[None]) ** 2).min(axis=1).sum())


def brute_force(values: np.ndarray, clusters: int, zero: bool) -> float:
    """Optimal distortion over all divisions of the sorted values into intervals."""
    values = np.sort(values.astype(np.float64))
    best = np.inf
    for cuts in itertools.combinations_with_replacement(range(len(values) + 1), clusters - 1):
        edges = [0, *cuts, len(values)]
        parts = [values[a:b] for a, b in itertools.pairwise(edges)]
        costs = [float(((p - p.mean()) ** 2).sum()) if len(p) else 0.0 for p in parts]
        pinned = [float((p**2).sum()) for p in parts]
        choices = [sum(costs) - costs[k] + pinned[k] for k in range(clusters)] if zero else [sum(costs)]
        best = min(best, *choices)
    return best


small = st.lists(st.integers(-40, 40), min_size=1, max_size=9).map(lambda v: np.array(v, np.float32) / 8)


@settings(max_examples=40, deadline=None)
@given(small, st.integers(1, 4), st.booleans())
def test_small_inputs_are_solved_exactly(values, clusters, zero):
    found = kmeans_codebook(summarize(values), clusters, pin_zero=zero)
    assert found.size >= 1 and np.all(np.diff(found) >= 0)
    best = brute_force(values, clusters, zero)
    assert distortion(values, found) <= best * (1 + RELATIVE_EPSILON) + 1e-9
    if zero:
        assert 0.0 in found


@pytest.mark.parametrize("clusters", [2, 8, 31])
@pytest.mark.parametrize("shape", [1.2, 4.0])
def test_never_worse_than_the_best_of_scikit_learns_restarts(clusters, shape):
    values = np.random.default_rng(clusters).standard_t(shape, 3000).astype(np.float32)
    peer = KMeans(clusters, n_init=5, random_state=0).fit(values[:, None]).inertia_
    found = kmeans_codebook(summarize(values), clusters, pin_zero=False)
    assert distortion(values, found) <= peer * (1 + MERGED_EPSILON)


def test_a_histogram_costs_almost_nothing():
    values = np.random.default_rng(0).standard_t(4, (40, 5000)).astype(np.float32)
    whole = kmeans_codebook(summarize(values), 16, pin_zero=False)
    peer = KMeans(16, init=whole[:, None].astype(np.float64), n_init=1).fit(values.reshape(-1, 1)).inertia_
    assert distortion(values.ravel(), whole) <= peer * 1.001


def test_importance_moves_centroids_to_what_matters():
    values = np.array([0.0, 1.0, 1.2, 5.0], np.float32)
    weights = np.array([1.0, 1.0, 1000.0, 1.0])
    found = kmeans_codebook(summarize(values, weights), 3, pin_zero=False)
    assert found[1] == pytest.approx((1.0 + 1200.0) / 1001)


def test_histogram_weights_count():
    values = np.random.default_rng(1).standard_normal((8, 10_000)).astype(np.float32)
    importance = np.where(np.arange(10_000) < 5000, 1.0, 0.0)[None]
    points = summarize(values, importance)
    assert points.weight.sum() == pytest.approx(40_000)
    assert points.position @ points.weight == pytest.approx(float(values[:, :5000].sum()), rel=1e-3, abs=1)


@pytest.mark.parametrize("bits", range(1, 9))
def test_uniform_levels_are_equally_spaced_and_hold_zero(bits):
    values = np.random.default_rng(bits).normal(0.3, 1, 500).astype(np.float32)
    levels = uniform_codebook(summarize(values), 1 << bits, pin_zero=True)
    assert np.allclose(np.diff(levels), levels[1] - levels[0], rtol=1e-4)
    assert 0.0 in levels
    if bits > 1:
        assert levels[0] <= values.min() + 1e-5 and levels[-1] >= values.max() - 1e-5


def test_one_value_and_fewer_values_than_levels():
    constant = np.full((300, 300), 2.5, np.float32)
    assert 2.5 in kmeans_codebook(summarize(constant), 4, pin_zero=True)
    few = kmeans_codebook(summarize(np.array([1.0, 2.0], np.float32)), 8, pin_zero=False)
    assert set(few) == {1.0, 2.0} and few.size == 8


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=50), st.integers(1, 8))
def test_assignment_is_to_the_nearest(values, bits):
    values = np.array(values, np.float32)
    codebook = kmeans_codebook(summarize(values), 1 << bits, pin_zero=True)
    chosen = codebook[assign(values, codebook)]
    assert np.allclose(
        np.abs(values - chosen), np.abs(values[:, None] - codebook[None]).min(axis=1), atol=1e-6
    )

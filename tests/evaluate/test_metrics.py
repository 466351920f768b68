"""Metrics by hand, by property, and against the original programs written out again line by line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketvlad.dataset.geometry import positives_within
from pocketvlad.evaluate.metrics import (
    average_precision,
    bootstrap_difference,
    hit_ranks,
    mp_at_k,
    one_per_panorama,
    recall_at,
    top_k_hits,
)

PITTS = Path(__file__).parents[2] / "../shared/data/oracles/pitts30k_test.npz"


def original_compute_ap(positives, junk, ranked_list):
    """compute_ap.cpp of the Oxford buildings benchmark, statement by statement."""
    old_recall, old_precision, ap = 0.0, 1.0, 0.0
    intersect_size, j = 0, 0
    for item in ranked_list:
        if item in junk:
            continue
        if item in positives:
            intersect_size += 1
        recall = intersect_size / len(positives)
        precision = intersect_size / (j + 1.0)
        ap += (recall - old_recall) * ((old_precision + precision) / 2.0)
        old_recall = recall
        old_precision = precision
        j += 1
    return ap


def original_precision_at(ranks, ok, junk, kappa):
    """The mP@k part of compute_map of the revisited benchmark, statement by statement."""
    pos = np.arange(len(ranks))[np.isin(ranks, ok)]
    junk = np.arange(len(ranks))[np.isin(ranks, junk)]
    k = ij = 0
    if len(junk):
        ip = 0
        while ip < len(pos):
            while ij < len(junk) and pos[ip] > junk[ij]:
                k += 1
                ij += 1
            pos[ip] = pos[ip] - k
            ip += 1
    pos += 1
    kq = min(max(pos), kappa)
    return (pos <= kq).sum() / kq


@st.composite
def retrievals(draw):
    """A ranking of all items, at least one positive, junk that is not positive."""
    count = draw(st.integers(1, 40))
    ranking = draw(st.permutations(range(count)))
    roles = draw(st.lists(st.sampled_from("pjn"), min_size=count, max_size=count))
    positives = {i for i, role in enumerate(roles) if role == "p"} or {0}
    junk = {i for i, role in enumerate(roles) if role == "j"} - positives
    return list(ranking), positives, junk


def test_average_precision_by_hand():
    """Hits at ranks 0 and 2 of 2: (1 + 1)/2 · 1/2 + (1/2 + 2/3)/2 · 1/2."""
    assert average_precision([7, 1, 8, 2], {7, 8}) == pytest.approx(0.5 + (0.5 + 2 / 3) / 4)


def test_a_positive_that_is_not_ranked_counts_as_missed():
    assert average_precision([7, 1], {7, 99}) == pytest.approx(0.5)
    assert average_precision([1, 2], {99}) == 0


def test_the_first_result_wrong_costs_its_half_trapezoid():
    """One hit at rank 1: p0 = 0/1, p1 = 1/2."""
    assert average_precision([1, 7], {7}) == pytest.approx(0.25)


def test_an_item_that_is_both_is_junk_but_stays_in_the_count():
    assert average_precision([7, 8], {7, 8}, {7}) == original_compute_ap({7, 8}, {7}, [7, 8]) == 0.5


def test_no_positive_is_refused():
    with pytest.raises(ValueError, match="needs a positive"):
        average_precision([1], set())


@given(retrievals())
def test_average_precision_is_the_originals(case):
    ranking, positives, junk = case
    assert average_precision(ranking, positives, junk) == pytest.approx(
        original_compute_ap(positives, junk, ranking)
    )


@given(retrievals(), st.sampled_from([1, 5, 10]))
def test_precision_at_k_is_the_originals(case, k):
    ranking, positives, junk = case
    expected = original_precision_at(np.array(ranking), list(positives), list(junk), k)
    assert mp_at_k(ranking, positives, junk, k) == pytest.approx(expected)


@given(retrievals(), st.data())
def test_adding_junk_changes_nothing(case, data):
    ranking, positives, junk = case
    count = data.draw(st.integers(1, 8))
    longer = list(ranking)
    for item in range(1000, 1000 + count):
        longer.insert(data.draw(st.integers(0, len(longer))), item)
    more = junk | set(range(1000, 1000 + count))
    assert average_precision(longer, positives, more) == average_precision(ranking, positives, junk)
    assert mp_at_k(longer, positives, more, 5) == mp_at_k(ranking, positives, junk, 5)


@given(retrievals())
def test_a_perfect_ranking_is_one_and_nothing_is_better(case):
    ranking, positives, junk = case
    perfect = sorted(ranking, key=lambda item: item not in positives)
    assert average_precision(perfect, positives, junk) == pytest.approx(1)
    assert 0 <= average_precision(ranking, positives, junk) <= 1 + 1e-12
    assert mp_at_k(perfect, positives, junk, 10) == pytest.approx(1)


@given(retrievals(), st.data())
def test_permuted_ties_are_scored_in_the_order_they_are_ranked(case, data):
    """The original sees an order, not scores: swapping two tied items is another ranking to it and to us."""
    ranking, positives, junk = case
    i, j = (data.draw(st.integers(0, len(ranking) - 1)) for _ in range(2))
    swapped = list(ranking)
    swapped[i], swapped[j] = swapped[j], swapped[i]
    expected = original_compute_ap(positives, junk, swapped)
    assert average_precision(swapped, positives, junk) == pytest.approx(expected)
    if (ranking[i] in positives) == (ranking[j] in positives) and not {ranking[i], ranking[j]} & junk:
        assert average_precision(swapped, positives, junk) == average_precision(ranking, positives, junk)


def test_hit_ranks_skip_junk():
    assert hit_ranks([5, 3, 9, 4], {9, 3}, {5}).tolist() == [0, 1]
    assert hit_ranks(np.array([5, 3, 9, 4]), frozenset({4}), frozenset({5, 9})).tolist() == [1]


def test_precision_stops_at_the_last_positive():
    """Two positives, both found by rank 2: P@10 divides by 2, not by 10; P@1 by 1."""
    assert mp_at_k([1, 2, 3, 4], {1, 2}, (), 10) == 1
    assert mp_at_k([3, 1, 4, 2], {1, 2}, (), 10) == 0.5
    assert mp_at_k([3, 1], {1}, (), 1) == 0
    assert mp_at_k([3], {9}, (), 5) == 0


def test_recall_looks_at_the_top_n_only():
    assert recall_at([1, 2, 3], {3}, 3) and not recall_at([1, 2, 3], {3}, 2)
    assert not recall_at([1, 2, 3], frozenset(), 20)


def test_one_hit_per_panorama():
    """Items 0..11 are one panorama, 12..23 the next: the second place belongs to another panorama."""
    panorama = [i // 12 for i in range(48)]
    assert one_per_panorama([3, 4, 5, 13, 12, 40], panorama, 20) == [3, 13, 40]
    deep = [*range(24), 30]
    assert one_per_panorama(deep, panorama, 2) == [0, 12]  # only the top 12 * 2 are looked at
    assert one_per_panorama(deep, panorama, 3) == [0, 12, 30]


@given(st.permutations(range(36)), st.integers(1, 3))
def test_one_hit_per_panorama_is_openibls_spatial_nms(ranking, n):
    selected = list(ranking)[: 12 * n]
    seen = set()
    kept = [i for i, item in enumerate(selected) if not (item // 12 in seen or seen.add(item // 12))]
    assert one_per_panorama(ranking, [i // 12 for i in range(36)], n) == [selected[i] for i in kept]


def test_the_interval_of_a_constant_change_is_that_change():
    before = np.random.default_rng(0).random(30)
    change = bootstrap_difference(before, before + 0.25)
    assert (change.mean, change.low, change.high) == pytest.approx((0.25, 0.25, 0.25))


def test_the_interval_is_that_of_the_normal_distribution_for_many_queries():
    """Standard error of the mean times 1.96, to the bootstrap's own noise of a few percent."""
    random = np.random.default_rng(1)
    before, after = random.random(900), random.random(900)
    change = bootstrap_difference(before, after, seed=3)
    half = 1.96 * (after - before).std() / 30
    assert change.mean == pytest.approx((after - before).mean())
    assert change.high - change.mean == pytest.approx(half, rel=0.06)
    assert change.mean - change.low == pytest.approx(half, rel=0.06)
    assert change == bootstrap_difference(before, after, seed=3)
    assert change != bootstrap_difference(before, after, seed=4)


def test_pairs_are_resampled_together():
    """Two results that differ in one query of 100 have a narrow interval, however spread the queries are."""
    before = np.random.default_rng(2).random(100)
    after = before.copy()
    after[0] -= 0.5
    change = bootstrap_difference(before, after)
    assert change.low == pytest.approx(-0.02, abs=0.006) and change.high == 0


def test_unequal_queries_are_refused_and_none_have_no_interval():
    with pytest.raises(ValueError, match="same queries"):
        bootstrap_difference(np.zeros(2), np.zeros(3))
    assert np.isnan(bootstrap_difference(np.zeros(0), np.zeros(0)).low)


def test_a_big_bootstrap_runs_in_blocks():
    before = np.random.default_rng(5).random(7000)
    change = bootstrap_difference(before, before - 0.01 * (np.arange(7000) % 2), resamples=1200)
    assert change.mean == pytest.approx(-0.005)
    assert -0.0053 < change.low < -0.005 < change.high < -0.0047


def test_top_k_hits():
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0], [0.0, 0.1, 0.9]])
    assert top_k_hits(scores, np.array([1, 1, 0]), 1).tolist() == [True, False, False]
    assert top_k_hits(scores, np.array([1, 1, 0]), 2).tolist() == [True, True, False]
    assert top_k_hits(scores, np.array([1, 1, 0]), 5).all()


def test_real_geometry_by_tree_and_by_brute_force():
    """Pitts30k test: every distance of 6816 x 10000 computed plainly gives the same positives."""
    if not PITTS.is_file():
        pytest.skip(f"the Pitts30k geometry is not here: {PITTS.name}")
    oracle = np.load(PITTS)
    queries, database, radius = oracle["utmQ"], oracle["utmDb"], float(oracle["posDistThr"])
    found = positives_within(queries, database, radius)
    assert len(found) == 6816
    for start in range(0, len(queries), 512):
        offsets = queries[start : start + 512, None] - database[None]
        near = (offsets**2).sum(axis=2) <= radius**2
        for row, positives in zip(near, found[start : start + 512], strict=True):
            assert np.array_equal(np.flatnonzero(row), positives)
    assert np.mean([len(positives) > 0 for positives in found]) > 0.99


def test_the_radius_is_inclusive():
    assert positives_within(np.zeros((1, 2)), np.array([[25.0, 0.0], [25.001, 0.0], [3, 4]]))[0].tolist() == [
        0,
        2,
    ]

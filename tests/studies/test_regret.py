"""What a choice must cost: on places that all like one setting nothing, on places that toss a coin what chance does."""

from __future__ import annotations

import numpy as np
import pytest

from pocketvlad.model.wanted import FULL, PCA
from studies.beside_fixed import NONE, Measured, Setting
from studies.regret import (
    COLUMNS,
    ByPlace,
    constant_columns,
    constant_rows,
    constants,
    of_as_many,
    of_halves,
    of_the_best,
    regret_rows,
)

CHOICES = (of_the_best, of_halves, of_as_many)
ONE, OTHER = (8, FULL), (8, PCA)


def by_place(*scores: list[float]) -> ByPlace:
    return ByPlace.of(np.array(scores), np.arange(len(scores[0])))


def test_the_queries_of_a_place_stay_together():
    found = ByPlace.of(np.array([[0.1, 0.2, 0.9], [0.5, 0.5, 0.5]]), np.array([7, 7, 3]))
    assert found.counts.tolist() == [1, 2]
    assert found.sums[0] == pytest.approx([0.9, 0.3])
    weights = np.array([[1, 0], [1, 2]])  # of the places 3 and 7, in two draws
    assert found.means(weights)[0] == pytest.approx([0.4, 0.15])


@pytest.mark.parametrize("choice", CHOICES)
def test_where_every_place_likes_the_same_setting_no_choice_costs(choice):
    found = by_place([0.5, 0.6, 0.7, 0.8], [0.4, 0.5, 0.6, 0.7])
    assert choice(found, np.random.default_rng(0)).max() == pytest.approx(0)


def test_two_places_that_disagree_cost_the_whole_difference_each_time():
    found = by_place([1.0, 0.0], [0.0, 1.0])
    assert of_halves(found, np.random.default_rng(0)) == pytest.approx(np.full(2000, 100))


def test_what_the_best_setting_costs_by_chance_falls_with_the_places():
    def cost(places: int) -> float:
        random = np.random.default_rng(1)
        noisy = [list(level + 0.2 * random.standard_normal(places)) for level in (0.5, 0.5, 0.5)]
        return float(of_the_best(by_place(*noisy), np.random.default_rng(0)).mean())

    assert cost(20) > 1.0 > cost(5000)


def row(said: Setting, scores: dict[Setting, list[float]]) -> Measured:
    grid = {setting: np.array(each) for setting, each in scores.items()}
    collection, places = np.zeros(2, int), np.arange(2)
    full = grid[ONE]
    return Measured(str(said), grid[said], full, full, {}, grid, collection, places)


def test_the_best_constant_has_the_smallest_worst_regret_and_every_row_has_it():
    rows = {
        "one": row(ONE, {ONE: [0.9, 0.9], OTHER: [0.1, 0.1], NONE: [0.7, 0.7]}),
        "two": row(OTHER, {ONE: [0.1, 0.1], OTHER: [0.8, 0.8], NONE: [0.7, 0.7], (9, PCA): [0.8, 0.8]}),
    }
    found = constants(rows)
    assert next(iter(found)) == NONE and found[NONE] == pytest.approx((20, 10))
    assert (9, PCA) not in found
    assert constant_columns(rows) == ("fixed setting", "one", "two", "worst")
    assert constant_rows(rows)[:2] == [
        ("chosen each time", "0.0", "0.0", "0.0"),
        ("none", "20.0", "10.0", "20.0"),
    ]
    table = regret_rows(rows)
    assert [len(each) for each in table] == [len(COLUMNS)] * 2
    assert table[0][:5] == ("one", "2, 2", str(ONE), "0.0", "20.0")

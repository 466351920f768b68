"""Wrong answers and how far away they are."""

from pathlib import Path

import numpy as np
import pytest

from pocketvlad.dataset import Dataset, Photo, Query
from pocketvlad.evaluate.mistakes import metres_between, mistakes
from pocketvlad.evaluate.retrieval import evaluate_descriptors


def test_wrong_answers_and_queries_that_nothing_answers():
    photos = tuple(
        Photo(Path(name), name, place, utm=(east, 0.0))
        for name, place, east in (("a", "hall", 0), ("b", "gate", 90), ("q", "gate", 93), ("r", None, 5000))
    )
    queries = (Query(2, frozenset({1})), Query(3, frozenset()))
    dataset = Dataset("set", photos, queries, (0, 1), "recall")
    rows = np.array([[1, 0], [0, 1], [0.9, 0.1], [0, 1]], np.float32)
    found = mistakes(dataset, evaluate_descriptors(dataset, rows))
    assert [(m.query, m.answer, m.place, m.answered, m.metres, m.unanswerable) for m in found] == [
        ("q", "a", "gate", "hall", 93, False),
        ("r", "b", "", "gate", 4910, True),
    ]


def test_metres_along_the_ground():
    """A degree of latitude is 111.2 km on the mean sphere, one of longitude at 60 degrees half of that."""
    here = Photo(Path("a"), "a", latitude=60.0, longitude=10.0)
    north, east = (Photo(Path("b"), "b", latitude=y, longitude=x) for y, x in ((61.0, 10.0), (60.0, 11.0)))
    assert metres_between(here, north) == pytest.approx(np.pi * 6_371_008.8 / 180)
    assert metres_between(here, east) == pytest.approx(np.pi * 6_371_008.8 / 360, rel=1e-4)
    assert metres_between(here, here) == 0
    assert metres_between(here, Photo(Path("c"), "c")) is None
    assert metres_between(here, Photo(Path("c"), "c", utm=(1.0, 2.0))) is None

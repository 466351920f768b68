"""Which answers a report shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pocketvlad.dataset import Dataset, Photo, Query
from pocketvlad.evaluate.retrieval import evaluate_descriptors
from pocketvlad.pipeline.pictures import match_rows


def test_a_query_without_a_right_answer_is_not_shown():
    photos = tuple(Photo(Path(f"{n}.jpg"), name=f"{n}.jpg", place=place) for n, place in enumerate("aab"))
    queries = (Query(0, frozenset({1}), frozenset({0})), Query(2, frozenset(), frozenset({2})))
    dataset = Dataset("recall", photos, queries, database=(0, 1, 2), metric="recall")
    before = np.eye(3, dtype=np.float32)[[0, 0, 1]]
    after = np.eye(3, dtype=np.float32)[[0, 1, 0]]
    answers = [(evaluate_descriptors(dataset, found), found) for found in (before, after)]
    (row,) = match_rows(dataset, *answers)
    assert (row.query, row.truth, row.place) == ("0.jpg", "1.jpg", "a")
    assert [(match.photo, match.right) for match in (row.before, row.after)] == [
        ("1.jpg", True),
        ("2.jpg", False),
    ]

"""Descriptors and ground truth -> accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pocketvlad.dataset.types import Dataset
from pocketvlad.errors import DatasetError
from pocketvlad.evaluate import metrics
from pocketvlad.evaluate.metrics import Difference, bootstrap_difference

RECALLS = (1, 5, 10, 20)


@dataclass(frozen=True, eq=False)
class RetrievalResult:
    """Accuracy of one set of descriptors.

    Attributes:
        metric: ``map`` or ``recall``.
        per_query: float64 [queries], AP, or 1 where the top result is right.
        recalls: share of queries with a positive among the top n, by n.
        queries: names of the query photos.
        best: index of the photo ranked first for each query.
    """

    metric: str
    per_query: np.ndarray
    recalls: dict[int, float]
    queries: tuple[str, ...]
    best: tuple[int, ...]

    @property
    def score(self) -> float:
        """mAP, or Recall@1."""
        return float(self.per_query.mean())

    def as_values(self) -> dict[str, Any]:
        """For tables and JSON."""
        name = "mAP" if self.metric == "map" else "recall@1"
        shares = {f"recall@{n}": share for n, share in self.recalls.items()}
        return {name: self.score, "queries": len(self.per_query), **shares}


def evaluate_descriptors(dataset: Dataset, descriptors: np.ndarray) -> RetrievalResult:
    """Rank the database by cosine for every query.

    Args:
        dataset: n photos with ground truth.
        descriptors: float32 [n, dim], unit rows, in the order of the photos.

    Raises:
        DatasetError: no query has a positive.
    """
    if not dataset.queries:
        raise DatasetError(
            f"dataset {dataset.name} has no query with a positive",
            allowed="at least one place with two photos",
        )
    database = np.asarray(dataset.database)
    scores: list[float] = []
    recalls = dict.fromkeys(RECALLS, 0)
    best: list[int] = []
    for query in dataset.queries:
        cosines = descriptors[database] @ descriptors[query.photo]
        order = database[np.argsort(-cosines, kind="stable")]
        ranking = [i for i in order.tolist() if i not in query.junk]
        best.append(ranking[0])
        for n in RECALLS:
            recalls[n] += metrics.recall_at(ranking, query.positives, n)
        if dataset.metric == "map":
            scores.append(metrics.average_precision(ranking, query.positives))
        else:
            scores.append(float(metrics.recall_at(ranking, query.positives, 1)))
    names = tuple(dataset.photos[query.photo].name for query in dataset.queries)
    shares = {n: count / len(dataset.queries) for n, count in recalls.items()}
    return RetrievalResult(dataset.metric, np.asarray(scores), shares, names, tuple(best))


def compare(before: RetrievalResult, after: RetrievalResult) -> Difference:
    """Change of the score with its paired bootstrap interval, in points of 100."""
    if before.queries != after.queries:
        raise DatasetError("two results on different queries cannot be compared")
    change = bootstrap_difference(before.per_query, after.per_query)
    return Difference(100 * change.mean, 100 * change.low, 100 * change.high)

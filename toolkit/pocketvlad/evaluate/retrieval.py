"""Descriptors and ground truth -> accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pocketvlad.dataset.types import Dataset, Query
from pocketvlad.errors import DatasetError
from pocketvlad.evaluate import metrics
from pocketvlad.evaluate.describe import require_finite
from pocketvlad.evaluate.metrics import Difference, bootstrap_difference, metric_name

RECALLS = (1, 5, 10, 20)
PRECISIONS = (1, 5, 10)  # the k of mP@k
_BLOCK = 64  # queries ranked at once


@dataclass(frozen=True, eq=False)
class RetrievalResult:
    """Accuracy of one set of descriptors.

    Attributes:
        metric: ``map`` or ``recall``; :func:`metric_name` is its name.
        per_query: float64 [queries], AP, or 1 where the top result is right.
        recalls: share of queries with a positive among the top n, by n.
        queries: names of the query photos.
        best: index of the photo ranked first for each query.
        precisions: mP@k of the revisited protocol, by k; empty for ``recall``.
        panorama_recalls: recalls with one hit per panorama (Tokyo 24/7), where photos know theirs.
        without_positive: queries that nothing in the database answers; ``recall`` counts them as missed.
        skipped: one line for each query, place or photo that was left out.
        variants: results on the dataset's other ground truths, by name.
        protocol: of the dataset, for reports.
    """

    metric: str
    per_query: np.ndarray
    recalls: dict[int, float]
    queries: tuple[str, ...]
    best: tuple[int, ...]
    precisions: dict[int, float] = field(default_factory=dict)
    panorama_recalls: dict[int, float] = field(default_factory=dict)
    without_positive: int = 0
    skipped: tuple[str, ...] = ()
    variants: dict[str, RetrievalResult] = field(default_factory=dict)
    protocol: str = ""

    @property
    def score(self) -> float:
        """What :func:`metric_name` says: mAP, or Recall@1."""
        return float(self.per_query.mean())

    def as_values(self) -> dict[str, Any]:
        """For tables and JSON."""
        values: dict[str, Any] = {"protocol": self.protocol} if self.protocol else {}
        values["metric"] = metric_name(self.metric)
        values |= {"mAP": self.score} if self.metric == "map" else {}
        values["queries"] = len(self.per_query)
        values |= {"queries without a positive": self.without_positive} if self.without_positive else {}
        values |= {f"recall@{n}": share for n, share in self.recalls.items()}
        values |= {f"mP@{k}": share for k, share in self.precisions.items()}
        values |= {f"recall@{n} per panorama": share for n, share in self.panorama_recalls.items()}
        for name, result in self.variants.items():
            values |= {f"{name} {key}": value for key, value in result.as_values().items()}
        return values


def evaluate_descriptors(dataset: Dataset, descriptors: np.ndarray) -> RetrievalResult:
    """Rank the database by cosine for every query; ties keep the order of the database.

    Args:
        dataset: n photos with ground truth.
        descriptors: float32 [n, dim], unit rows, in the order of the photos.

    Raises:
        DatasetError: no query has a positive, or the descriptors are not those of the photos.
        ArtifactError: a descriptor that is not finite.
    """
    if len(descriptors) != len(dataset.photos):
        raise DatasetError(
            f"descriptors do not belong to dataset {dataset.name}",
            found=f"{len(descriptors)} rows",
            allowed=f"{len(dataset.photos)}",
        )
    for row, photo in enumerate(dataset.photos):
        require_finite(descriptors[row], photo)
    require_answerable(dataset)
    variants = {
        name: _evaluate(dataset, queries, descriptors)
        for name, queries in dataset.variants.items()
        if queries
    }
    return _evaluate(dataset, dataset.queries, descriptors, variants)


def require_answerable(dataset: Dataset) -> None:
    """Raises DatasetError when no query has a positive: said before long work."""
    if not any(query.positives for query in dataset.queries):
        raise DatasetError(
            f"dataset {dataset.name} has no query with a positive",
            allowed="at least one place with two photos",
        )


def _evaluate(
    dataset: Dataset,
    queries: Sequence[Query],
    descriptors: np.ndarray,
    variants: dict[str, RetrievalResult] | None = None,
) -> RetrievalResult:
    by_map = dataset.metric == "map"
    panoramas = [photo.panorama for photo in dataset.photos]
    cut = any(panoramas[i] is not None for i in dataset.database)
    scores: list[float] = []
    best: list[int] = []
    recalls, cut_recalls = dict.fromkeys(RECALLS, 0), dict.fromkeys(RECALLS, 0)
    precisions = dict.fromkeys(PRECISIONS, 0.0)
    for query, ranking in zip(queries, rankings(dataset, queries, descriptors), strict=True):
        best.append(int(ranking[0]))
        top = ranking[: 12 * max(RECALLS)].tolist()
        for n in RECALLS:
            recalls[n] += metrics.recall_at(top, query.positives, n)
        if cut:
            spread = metrics.one_per_panorama(top, panoramas, max(RECALLS))
            for n in RECALLS:
                cut_recalls[n] += metrics.recall_at(spread, query.positives, n)
        if by_map:
            scores.append(metrics.average_precision(ranking, query.positives))
            for k in PRECISIONS:
                precisions[k] += metrics.mp_at_k(ranking, query.positives, (), k)
        else:
            scores.append(float(top[0] in query.positives))
    count = len(queries)
    return RetrievalResult(
        metric=dataset.metric,
        per_query=np.asarray(scores),
        recalls={n: hits / count for n, hits in recalls.items()},
        queries=tuple(dataset.photos[query.photo].name for query in queries),
        best=tuple(best),
        precisions={k: total / count for k, total in precisions.items()} if by_map else {},
        panorama_recalls={n: hits / count for n, hits in cut_recalls.items()} if cut else {},
        without_positive=sum(not query.positives for query in queries),
        skipped=dataset.skipped,
        variants=variants or {},
        protocol=dataset.protocol,
    )


def rankings(dataset: Dataset, queries: Sequence[Query], descriptors: np.ndarray) -> Iterator[np.ndarray]:
    """For each query the database photos without its junk, best first, int64 [m].

    Raises:
        DatasetError: nothing is left to rank for a query.
    """
    database = np.asarray(dataset.database, np.int64)
    in_order = np.array_equal(database, np.arange(len(descriptors)))
    searched = descriptors if in_order else descriptors[database]
    for start in range(0, len(queries), _BLOCK):
        block = queries[start : start + _BLOCK]
        cosines = descriptors[[query.photo for query in block]] @ searched.T
        for query, order in zip(block, np.argsort(-cosines, axis=1, kind="stable"), strict=True):
            items = database[order]
            ranking = items[~np.isin(items, list(query.junk))] if query.junk else items
            if not len(ranking):
                raise DatasetError(f"dataset {dataset.name} leaves nothing to rank", found="only junk")
            yield ranking


def compare(before: RetrievalResult, after: RetrievalResult) -> Difference:
    """Change of the score with its paired bootstrap interval, in points of 100.

    Raises:
        DatasetError: the results are of different queries.
    """
    if before.queries != after.queries:
        raise DatasetError("two results on different queries cannot be compared")
    return bootstrap_difference(before.per_query, after.per_query).points()

"""Retrieval and classification metrics: pure functions of rankings and ground truth."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np


def average_precision(ranking: Sequence[int], positives: Collection[int], junk: Collection[int] = ()) -> float:
    """AP of the Oxford buildings protocol (Philbin et al. 2007, ``compute_ap``): trapezoids under P(R).

    Args:
        ranking: database items, best first.
        positives: items that count; at least one.
        junk: items taken out of the ranking before scoring.

    Returns:
        ``sum over the hits j at rank r of (p0 + p1) / 2 / len(positives)`` with p0 = j / r (1 at rank 0)
        and p1 = (j + 1) / (r + 1).
    """
    hits = hit_ranks(ranking, positives, junk)
    j = np.arange(len(hits))
    before = np.where(hits > 0, j / np.maximum(hits, 1), 1.0)
    after = (j + 1) / (hits + 1)
    return float(((before + after) / 2).sum() / len(positives))


def hit_ranks(ranking: Sequence[int], positives: Collection[int], junk: Collection[int] = ()) -> np.ndarray:
    """0-based ranks of the positives in the ranking without junk, int64."""
    kept = [item for item in ranking if item not in junk]
    return np.asarray([rank for rank, item in enumerate(kept) if item in positives], np.int64)


def precision_at(ranking: Sequence[int], positives: Collection[int], junk: Collection[int], k: int) -> float:
    """P@k of the revisited protocol (Radenovic et al. 2018): k is at most the last positive's rank."""
    hits = hit_ranks(ranking, positives, junk)
    if not len(hits):
        return 0.0
    depth = min(int(hits.max()) + 1, k)
    return float((hits < depth).sum() / depth)


def recall_at(ranking: Sequence[int], positives: Collection[int], n: int) -> bool:
    """Whether one of the top ``n`` is a positive."""
    return any(item in positives for item in ranking[:n])


@dataclass(frozen=True)
class Difference:
    """Change of a mean with its interval: ``mean`` and the 2.5 and 97.5 percentiles ``low`` and ``high``."""

    mean: float
    low: float
    high: float


def bootstrap_difference(
    before: np.ndarray, after: np.ndarray, *, seed: int = 0, resamples: int = 10_000
) -> Difference:
    """Paired bootstrap 95% interval of ``mean(after) - mean(before)``, queries resampled with replacement."""
    change = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    if not len(change):
        return Difference(float("nan"), float("nan"), float("nan"))
    picks = np.random.default_rng(seed).integers(0, len(change), (resamples, len(change)))
    low, high = np.percentile(change[picks].mean(axis=1), [2.5, 97.5])
    return Difference(float(change.mean()), float(low), float(high))


def top_k_accuracy(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of rows of float32 [n, classes] whose label int64 [n] is among the k best scores."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())

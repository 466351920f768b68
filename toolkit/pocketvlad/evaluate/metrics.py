"""Retrieval and classification metrics: pure functions of rankings and ground truth."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

Ranking = Sequence[int] | np.ndarray
_BOOTSTRAP_BLOCK = 4_000_000  # picks held at once


def average_precision(ranking: Ranking, positives: Collection[int], junk: Collection[int] = ()) -> float:
    """AP of the Oxford buildings protocol (Philbin et al. 2007, ``compute_ap``): trapezoids under P(R).

    Scores play no part: tied items count in the order in which they are ranked, as in the original.

    Args:
        ranking: database items, best first.
        positives: items that count; at least one.
        junk: items taken out of the ranking before scoring; an item that is both is junk.

    Returns:
        ``sum over the hits j at rank r of (p0 + p1) / 2 / len(positives)`` with p0 = j / r (1 at rank 0)
        and p1 = (j + 1) / (r + 1).

    Raises:
        ValueError: no positive.
    """
    if not len(positives):
        raise ValueError("average precision needs a positive")
    hits = hit_ranks(ranking, positives, junk)
    j = np.arange(len(hits))
    before = np.where(hits > 0, j / np.maximum(hits, 1), 1.0)
    after = (j + 1) / (hits + 1)
    return float(((before + after) / 2).sum() / len(positives))


def hit_ranks(ranking: Ranking, positives: Collection[int], junk: Collection[int] = ()) -> np.ndarray:
    """0-based ranks of the positives in the ranking without junk, int64."""
    items = np.asarray(ranking, np.int64)
    kept = items[~np.isin(items, np.asarray(list(junk), np.int64))]
    return np.flatnonzero(np.isin(kept, np.asarray(list(positives), np.int64)))


def mp_at_k(ranking: Ranking, positives: Collection[int], junk: Collection[int], k: int) -> float:
    """P@k of the revisited protocol (Radenovic et al. 2018, ``compute_map``); its mean is mP@k.

    Counted to ``kq = min(rank of the last positive, k)``, so that few positives can still reach 1.
    """
    hits = hit_ranks(ranking, positives, junk)
    if not len(hits):
        return 0.0
    depth = min(int(hits[-1]) + 1, k)
    return float((hits < depth).sum() / depth)


def recall_at(ranking: Ranking, positives: Collection[int], n: int) -> bool:
    """Whether one of the top ``n`` is a positive; the mean over all queries is Recall@N."""
    return any(item in positives for item in ranking[:n])


def one_per_panorama(ranking: Ranking, panorama: Sequence[Hashable], n: int, cuts: int = 12) -> list[int]:
    """The first item of each panorama among the top ``cuts * n``: Tokyo 24/7 as Relja and OpenIBL score it.

    Args:
        ranking: database items, best first.
        panorama: by item; items cut from one panorama share a value.
        n: the largest N of Recall@N.
        cuts: images cut from one panorama.
    """
    first: dict[Hashable, int] = {}
    for item in ranking[: cuts * n]:
        first.setdefault(panorama[item], item)
    return list(first.values())


def metric_name(metric: str) -> str:
    """A dataset's metric, ``map`` or ``recall``, as people write it."""
    return "mAP" if metric == "map" else "Recall@1"


@dataclass(frozen=True)
class Difference:
    """Change of a mean with its interval: ``mean`` and the 2.5 and 97.5 percentiles ``low`` and ``high``."""

    mean: float
    low: float
    high: float

    def points(self) -> Difference:
        """The same in points of 100."""
        return Difference(100 * self.mean, 100 * self.low, 100 * self.high)


def bootstrap_difference(
    before: np.ndarray, after: np.ndarray, *, seed: int = 0, resamples: int = 10_000
) -> Difference:
    """Paired bootstrap 95% interval of ``mean(after) - mean(before)``, queries resampled with replacement.

    Args:
        before, after: float64 [queries], the same queries in the same order.

    Raises:
        ValueError: the lengths differ.
    """
    before, after = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if before.shape != after.shape:
        raise ValueError(f"a paired interval needs the same queries: {before.shape} and {after.shape}")
    change = after - before
    if not len(change):
        return Difference(float("nan"), float("nan"), float("nan"))
    random = np.random.default_rng(seed)
    block = max(1, _BOOTSTRAP_BLOCK // len(change))
    means = [
        change[random.integers(0, len(change), (min(block, resamples - start), len(change)))].mean(axis=1)
        for start in range(0, resamples, block)
    ]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return Difference(float(change.mean()), float(low), float(high))


def top_k_hits(scores: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Whether each row's label is among its k best scores, bool [n]; of tied classes the lower number wins.

    Args:
        scores: float32 [n, classes].
        labels: int64 [n].
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return (best == np.asarray(labels)[:, None]).any(axis=1)

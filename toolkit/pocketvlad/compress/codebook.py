"""Uniform and k-means codebooks for millions of scalar weights.

k-means in one dimension is solved on a histogram of 65,536 bins: exact dynamic programming over at most
4,096 merged bins gives the start (the optimum of the merged problem), Lloyd's iterations over all bins end
it. A bin is 1/65,536 of the weights' range, so a weight is at most half a bin from the value it was counted
as. Sources: Wang and Song, "Ckmeans.1d.dp", The R Journal 2011; Lloyd 1982.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 65_536
_MERGED = 4_096
_CHUNK = 1 << 22  # weights handled at once: bounds the temporaries to a few tens of MB
_LLOYD_STEPS = 60


@dataclass(frozen=True, eq=False)
class Histogram:
    """Weights counted in equal bins, with the sum of the weights in each.

    Attributes:
        low, step: bin i covers [low + i * step, low + (i + 1) * step).
        counts: float64 [BINS], how many (or how important) the weights of a bin are.
        sums: float64 [BINS], their sum (weighted alike).
    """

    low: float
    step: float
    counts: np.ndarray
    sums: np.ndarray

    def bin_of(self, weights: np.ndarray) -> np.ndarray:
        """Bin of each weight, int32."""
        index = ((weights - np.float32(self.low)) * np.float32(1 / self.step)).astype(np.int32)
        return np.clip(index, 0, BINS - 1, out=index)


def histogram(weights: np.ndarray, importance: np.ndarray | None = None) -> Histogram:
    """Count float32 weights of any shape, each worth ``importance`` (broadcastable, default 1)."""
    flat = weights.reshape(-1)
    low, high = (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
    step = max((high - low) / BINS, np.finfo(np.float32).tiny)
    empty = Histogram(low, step, np.zeros(BINS), np.zeros(BINS))
    worth = None if importance is None else np.broadcast_to(importance, weights.shape).reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK]
        index = empty.bin_of(part)
        chunk = None if worth is None else worth[start : start + _CHUNK]
        empty.counts[:] += np.bincount(index, chunk, BINS)
        empty.sums[:] += np.bincount(index, part if chunk is None else part * chunk, BINS)
    return empty


def uniform_centroids(weights: np.ndarray, levels: int, *, through_zero: bool = False) -> np.ndarray:
    """``levels`` equally spaced centroids over the weights' range, float32; one is 0 if asked."""
    if not weights.size:
        return np.zeros(levels, np.float32)
    low, high = float(weights.min()), float(weights.max())
    if not through_zero:
        return np.linspace(low, high, levels, dtype=np.float32)
    low, high = min(low, 0.0), max(high, 0.0)
    below = round((levels - 1) * -low / max(high - low, np.finfo(np.float32).tiny))
    step = max(-low / max(below, 1), high / max(levels - 1 - below, 1))
    return (step * (np.arange(levels) - below)).astype(np.float32)


def kmeans_centroids(counted: Histogram, levels: int, *, pin_zero: bool = False) -> np.ndarray:
    """The ``levels`` centroids of least squared error, ascending, float32; one is exactly 0 if pinned."""
    occupied = np.flatnonzero(counted.counts)
    if not len(occupied):
        return np.zeros(levels, np.float32)
    counts, sums = counted.counts[occupied], counted.sums[occupied]
    points = sums / counts
    if len(points) <= levels:
        return _padded(points, levels, pin_zero)
    merged = _merge(points, counts)
    starts = optimal_starts(
        np.add.reduceat(counts, merged),
        np.add.reduceat(sums, merged),
        np.add.reduceat(sums * points, merged),
        min(levels, len(merged)),
    )
    centroids = _means(counts, sums, merged[starts])
    centroids = _padded(centroids, levels, False).astype(np.float64)
    return _lloyd(points, counts, sums, centroids, pin_zero).astype(np.float32)


def _padded(points: np.ndarray, levels: int, pin_zero: bool) -> np.ndarray:
    """Fewer values than levels: each is its own centroid, the last repeated; 0 added when pinned."""
    if pin_zero and len(points) < levels and not (points == 0).any():
        points = np.sort(np.append(points, 0))
    elif pin_zero:
        points = np.where(np.arange(len(points)) == np.abs(points).argmin(), 0, points)
    return np.concatenate([points, np.full(levels - len(points), points[-1])]).astype(np.float32)


def _merge(points: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """First points of at most _MERGED runs that cost about the same to merge: ``count * gap^2`` each."""
    gaps = np.diff(points, prepend=points[0])
    measure = np.cumsum(np.cbrt(counts * gaps**2))
    edges = np.searchsorted(measure, np.linspace(0, measure[-1], _MERGED, endpoint=False), side="right")
    return np.unique(np.concatenate([[0], edges]))


def optimal_starts(counts: np.ndarray, sums: np.ndarray, squares: np.ndarray, levels: int) -> np.ndarray:
    """First point of each of ``levels`` clusters of n sorted weighted points: exact, by dynamic programming.

    The cost of a cluster is ``sum w x^2 - (sum w x)^2 / sum w``. The best last start is monotone in the end
    point, so each layer is solved by divide and conquer, level by level, in O(n log n).

    Args:
        counts, sums, squares: float64 [n], sums of w, w x and w x^2 of each point.
        levels: k, at most n.

    Returns:
        int64 [k], ascending, the first is 0.
    """
    n = len(counts)
    w, wx, wxx = (np.concatenate([[0.0], np.cumsum(values)]) for values in (counts, sums, squares))

    def cost(start: np.ndarray, end: np.ndarray) -> np.ndarray:
        weight = np.maximum(w[end] - w[start], np.finfo(float).tiny)
        return wxx[end] - wxx[start] - (wx[end] - wx[start]) ** 2 / weight

    best = cost(np.zeros(n + 1, np.int64), np.arange(n + 1))
    choices = np.zeros((levels, n + 1), np.int64)
    for layer in range(1, levels):
        best, choices[layer] = _dp_layer(best, cost, layer, n)
    starts, end = np.zeros(levels, np.int64), n
    for layer in range(levels - 1, 0, -1):
        end = choices[layer, end]
        starts[layer] = end
    return starts


def _dp_layer(previous: np.ndarray, cost, layer: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """best[e] = min over s of previous[s] + cost(s, e), for layer + 1 clusters of the first e points."""
    best, choice = np.full(n + 1, np.inf), np.zeros(n + 1, np.int64)
    low, high = np.array([layer + 1]), np.array([n])  # ranges of end points still open
    first, last = np.array([layer]), np.array([n - 1])  # where their best starts can be
    while len(low):
        middle = (low + high) // 2
        stop = np.minimum(last, middle - 1)
        lengths = stop - first + 1
        offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        ends = np.repeat(middle, lengths)
        starts = np.arange(lengths.sum()) - np.repeat(offsets - first, lengths)
        values = previous[starts] + cost(starts, ends)
        least = np.minimum.reduceat(values, offsets)
        hit = np.flatnonzero(values == np.repeat(least, lengths))
        found = starts[hit[np.searchsorted(hit, offsets)]]
        best[middle], choice[middle] = least, found
        left, right = middle > low, middle < high
        low, high, first, last = (
            np.concatenate([low[left], middle[right] + 1]),
            np.concatenate([middle[left] - 1, high[right]]),
            np.concatenate([first[left], found[right]]),
            np.concatenate([found[left], last[right]]),
        )
    return best, choice


def _means(counts: np.ndarray, sums: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return np.add.reduceat(sums, starts) / np.add.reduceat(counts, starts)


def _lloyd(
    points: np.ndarray, counts: np.ndarray, sums: np.ndarray, centroids: np.ndarray, pin_zero: bool
) -> np.ndarray:
    """Lloyd's iterations on sorted points: a cluster is the points between two midpoints of centroids."""
    w, wx = (np.concatenate([[0.0], np.cumsum(values)]) for values in (counts, sums))
    zero = int(np.abs(centroids).argmin())
    for _ in range(_LLOYD_STEPS):
        if pin_zero:
            centroids[zero] = 0
        edges = np.searchsorted(points, (centroids[1:] + centroids[:-1]) / 2)
        edges = np.concatenate([[0], edges, [len(points)]])
        weight = w[edges[1:]] - w[edges[:-1]]
        means = np.divide(wx[edges[1:]] - wx[edges[:-1]], weight, out=centroids.copy(), where=weight > 0)
        if pin_zero:
            means[zero] = 0
        means = np.sort(means)
        if np.allclose(means, centroids, rtol=0, atol=1e-9 * (points[-1] - points[0])):
            break
        centroids, zero = means, int(np.abs(means).argmin())
    return centroids


def assign(weights: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Nearest centroid of each float32 weight, uint8 of its shape; centroids ascending."""
    low, high = float(weights.min(initial=0)), float(weights.max(initial=0))
    step = max((high - low) / BINS, np.finfo(np.float32).tiny)
    grid = Histogram(low, step, np.empty(0), np.empty(0))
    middles = low + (np.arange(BINS) + 0.5) * step
    table = np.searchsorted((centroids[1:].astype(np.float64) + centroids[:-1]) / 2, middles).astype(np.uint8)
    flat, codes = weights.reshape(-1), np.empty(weights.size, np.uint8)
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK]
        np.take(table, grid.bin_of(part), out=codes[start : start + _CHUNK])
    return codes.reshape(weights.shape)

"""Codebooks of one tensor: uniform levels, and 1-D k-means that is exact up to a fine histogram.

Values are first summed into at most 65,536 bins, each then a point at its mean with its weight; fewer
distinct values stay as they are. Optimal clusters of sorted points are intervals, so dynamic programming
finds them (divide and conquer over the monotone splits, as in Wang and Song, "Ckmeans.1d.dp", R Journal
2011), here on at most :data:`_DP_POINTS` merged points, and Lloyd steps on all bins finish the work.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

_BINS = 65_536
_EXACT_VALUES = 32_768  # up to this many values no histogram is needed
_DP_POINTS = 1024
_DP_POINTS_PER_CLUSTER = 4
_LLOYD_STEPS = 300
_NARROW, _WIDENED = 2.0**-110, 100  # range of values; power of two they are multiplied by, which loses no bit
_CHUNK = 1 << 22  # values summed or assigned at a time: bounds the temporary copies to tens of MB


@dataclass(frozen=True, eq=False)
class Points:
    """Sorted positions with positive weights, both float64 [P]."""

    position: np.ndarray
    weight: np.ndarray


def summarize(values: np.ndarray, weights: np.ndarray | None = None) -> Points:
    """Values as sorted weighted points.

    Args:
        values: float32, any shape, finite.
        weights: importance of each value, of a shape that broadcasts to that of ``values``; None: 1.
    """
    if values.size <= _EXACT_VALUES:
        importance = np.ones(values.shape) if weights is None else np.broadcast_to(weights, values.shape)
        position, inverse = np.unique(values.ravel(), return_inverse=True)
        weight = np.bincount(inverse, importance.ravel().astype(np.float64), minlength=position.size)
        return _positive(position.astype(np.float64), weight)
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Points(np.array([low]), np.array([float(values.size)]))
    if high - low < _NARROW:  # as of denormal values: bins would be narrower than floats tell apart
        wide = summarize(np.ldexp(values, _WIDENED), weights)
        return Points(np.ldexp(wide.position, -_WIDENED), wide.weight)
    return _histogram(values.reshape(values.shape[0], -1), weights, low, (_BINS - 1) / (high - low))


def _histogram(values: np.ndarray, weights: np.ndarray | None, low: float, inverse_width: float) -> Points:
    """Bin sums of float32 [R, C] values; the weights broadcast to [R, C]."""
    mass, moment = np.zeros(_BINS), np.zeros(_BINS)
    rows = max(1, _CHUNK // values.shape[1])
    importance = None if weights is None else np.broadcast_to(weights, values.shape)
    for start in range(0, values.shape[0], rows):
        for block in _column_blocks(start, rows, values.shape):
            part = values[block].ravel()
            bins = ((part - np.float32(low)) * np.float32(inverse_width)).astype(np.int32)
            if importance is None:
                mass += np.bincount(bins, minlength=_BINS)[:_BINS]
                moment += np.bincount(bins, part, minlength=_BINS)[:_BINS]
            else:
                each = importance[block].ravel()
                mass += np.bincount(bins, each, minlength=_BINS)[:_BINS]
                moment += np.bincount(bins, part * each, minlength=_BINS)[:_BINS]
    used = mass > 0
    if not used.any():
        return Points(np.array([low]), np.ones(1))
    return Points(moment[used] / mass[used], mass[used])


def _column_blocks(start: int, rows: int, shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    columns = min(shape[1], _CHUNK)
    return [(slice(start, start + rows), slice(left, left + columns)) for left in range(0, shape[1], columns)]


def _positive(position: np.ndarray, weight: np.ndarray) -> Points:
    used = weight > 0
    if not used.any():  # inputs that are never anything else than 0: any codebook will do
        return Points(position, np.ones(len(position)))
    return Points(position[used], weight[used])


def uniform_codebook(points: Points, levels: int, *, pin_zero: bool) -> np.ndarray:
    """Equally spaced levels over the range of the points, float32 [levels]; with ``pin_zero`` one is 0."""
    low, high = float(points.position[0]), float(points.position[-1])
    if not pin_zero:
        return np.linspace(low, high, levels).astype(np.float32)
    low, high = min(low, 0.0), max(high, 0.0)
    below = 0 if high == low else round(-low / (high - low) * (levels - 1))
    below = min(max(below, int(low < 0)), levels - 1 - int(high > 0)) if levels > 2 else below
    step = max(_share(-low, below), _share(high, levels - 1 - below))
    return ((np.arange(levels) - below) * step).astype(np.float32)


def _share(length: float, parts: int) -> float:
    return length / parts if parts else 0.0


def kmeans_codebook(points: Points, levels: int, *, pin_zero: bool) -> np.ndarray:
    """The k-means centroids of the points, sorted, float32 [levels].

    Args:
        points: what to cluster.
        levels: centroids; with fewer points than that, some repeat.
        pin_zero: one centroid is exactly 0 and does not move; the others are the best beside it.
    """
    if points.position.size == 0:
        return np.zeros(levels, np.float32)
    merged = _merge(points, max(_DP_POINTS, _DP_POINTS_PER_CLUSTER * levels))
    start = _optimal_with_zero(merged, levels) if pin_zero else _optimal(merged, levels)
    centroids = _lloyd(points, start, pin_zero)
    return _pad(np.sort(centroids), levels)


def _pad(centroids: np.ndarray, levels: int) -> np.ndarray:
    """Sorted centroids, the last repeated up to ``levels``, float32."""
    padded = np.full(levels, centroids[-1], np.float32)
    padded[: centroids.size] = centroids
    return padded


def _merge(points: Points, wanted: int) -> Points:
    """At most about ``wanted`` points, each about as costly: density to the third (Panter and Dite, 1951)."""
    if points.position.size <= wanted:
        return points
    gap = np.diff(points.position, prepend=points.position[0])
    edges = np.cumsum(np.cbrt(points.weight * gap * gap))
    group = np.minimum((edges / edges[-1] * wanted).astype(np.int64), wanted - 1)
    starts = np.flatnonzero(np.diff(np.concatenate(([-1], group))))
    weight = np.add.reduceat(points.weight, starts)
    return Points(np.add.reduceat(points.position * points.weight, starts) / weight, weight)


@dataclass(frozen=True, eq=False)
class _Intervals:
    """Prefix sums of points: weight, first and second moment, float64 [P + 1]."""

    s0: np.ndarray
    s1: np.ndarray
    s2: np.ndarray

    @classmethod
    def of(cls, position: np.ndarray, weight: np.ndarray) -> _Intervals:
        zero = np.zeros(1)
        sums = (weight, weight * position, weight * position**2)
        return cls(*(np.concatenate((zero, np.cumsum(s))) for s in sums))

    def cost(self, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Squared distances of points begin..end-1 to their mean; 0 for an empty interval."""
        mass = self.s0[end] - self.s0[begin]
        moment = self.s1[end] - self.s1[begin]
        square = self.s2[end] - self.s2[begin]
        return square - np.divide(moment * moment, mass, out=np.zeros_like(mass), where=mass > 0)


def _splits(intervals: _Intervals, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Dynamic programming tables.

    Returns:
        cost float64 [clusters + 1, P + 1]: of the first j points in k clusters (empty ones allowed), and
        int32 of that shape: where the last of them begins.
    """
    size = intervals.s0.size
    cost = np.full((clusters + 1, size), np.inf)
    begin = np.zeros((clusters + 1, size), np.int32)
    cost[0, 0] = 0
    if clusters:
        cost[1] = intervals.cost(np.zeros(size, np.int64), np.arange(size))
    for k in range(2, clusters + 1):
        cost[k], begin[k] = _next_row(intervals, cost[k - 1])
    return cost, begin


def _next_row(intervals: _Intervals, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``min_i before[i] + cost(i, j)`` for every j; the best i grows with j, which halves the search."""
    size = before.size
    best, where = np.full(size, np.inf), np.zeros(size, np.int32)
    best[0] = before[0]
    stride = 1 << max(0, (size - 1).bit_length() - 1)
    limit = np.full(size, size - 1, np.int64)
    while stride:
        ends = np.arange(stride, size, 2 * stride)
        left = where[ends - stride].astype(np.int64)
        right = np.where(ends + stride < size, limit[np.minimum(ends + stride, size - 1)], size - 1)
        right = np.minimum(right, ends)
        best[ends], where[ends] = _row_minima(intervals, before, ends, left, right)
        limit[ends] = where[ends]
        stride //= 2
    return best, where


def _row_minima(
    intervals: _Intervals, before: np.ndarray, ends: np.ndarray, left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each end j the smallest ``before[i] + cost(i, j)`` over left <= i <= right, and its first i."""
    lengths = right - left + 1
    starts = np.cumsum(lengths) - lengths
    begin = np.arange(lengths.sum()) + np.repeat(left - starts, lengths)
    total = before[begin] + intervals.cost(begin, np.repeat(ends, lengths))
    smallest = np.minimum.reduceat(total, starts)
    hits = np.flatnonzero(total == np.repeat(smallest, lengths))
    first = hits[np.searchsorted(hits, starts)]
    return smallest, begin[first]


def _traced(
    position: np.ndarray, weight: np.ndarray, begin: np.ndarray, clusters: int, end: int
) -> list[float]:
    """Centroids of the first ``end`` points in ``clusters`` clusters, empty ones left out."""
    centroids = []
    for k in range(clusters, 0, -1):
        start = int(begin[k, end])
        if start < end:
            centroids.append(float(np.average(position[start:end], weights=weight[start:end])))
        end = start
    return centroids


def _optimal(points: Points, levels: int) -> np.ndarray:
    levels = min(levels, points.position.size)
    _, begin = _splits(_Intervals.of(points.position, points.weight), levels)
    return np.array(_traced(points.position, points.weight, begin, levels, points.position.size))


def _optimal_with_zero(points: Points, levels: int) -> np.ndarray:
    """Best ``levels - 1`` centroids beside a fixed 0: each side on its own, then the best division."""
    sides = []
    for sign in (-1, 1):
        chosen = points.position * sign > 0
        # outermost point first, so that the points nearest to 0 are the last ones
        order = np.argsort(-points.position[chosen] * sign, kind="stable")
        position, weight = points.position[chosen][order], points.weight[chosen][order]
        clusters = min(levels - 1, position.size)
        intervals = _Intervals.of(position, weight)
        cost, begin = _splits(intervals, clusters)
        total = cost + (intervals.s2[-1] - intervals.s2)  # points after j fall to the zero centroid
        sides.append((position, weight, begin, total.argmin(axis=1), total.min(axis=1)))
    left, right = sides[0][4], sides[1][4]
    spare = levels - 1
    options = [(left[k] + right[min(spare - k, right.size - 1)], k) for k in range(min(spare + 1, left.size))]
    count = min(options)[1]
    centroids = [0.0]
    for (position, weight, begin, ends, _), k in zip(
        sides, (count, min(spare - count, right.size - 1)), strict=True
    ):
        centroids += _traced(position, weight, begin, k, int(ends[k]))
    return np.array(centroids)


def _lloyd(points: Points, centroids: np.ndarray, pin_zero: bool) -> np.ndarray:
    """Lloyd steps until no point changes its cluster."""
    intervals = _Intervals.of(points.position, points.weight)
    centroids = np.sort(centroids)
    edges = np.array([], np.int64)
    for _ in range(_LLOYD_STEPS):
        middles = (centroids[1:] + centroids[:-1]) / 2
        found = np.searchsorted(points.position, middles)
        found = np.concatenate(([0], found, [points.position.size]))
        if np.array_equal(found, edges):
            break
        edges = found
        mass, moment = np.diff(intervals.s0[edges]), np.diff(intervals.s1[edges])
        moved = np.divide(moment, mass, out=centroids.copy(), where=mass > 0)
        centroids = np.where(centroids == 0, 0.0, moved) if pin_zero else moved
    return centroids


def assign(values: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Nearest centroid of each value (ties to the lower): uint8 of the shape of ``values``.

    Args:
        values: float32, any shape.
        codebook: float32, sorted, at most 256.
    """
    middles = torch.from_numpy(((codebook[1:].astype(np.float64) + codebook[:-1]) / 2).astype(np.float32))
    flat = torch.from_numpy(np.ascontiguousarray(values).reshape(-1))
    codes = np.empty(flat.numel(), np.uint8)
    for start in range(0, flat.numel(), _CHUNK):
        part = torch.bucketize(flat[start : start + _CHUNK], middles, out_int32=True)
        codes[start : start + _CHUNK] = part.numpy()
    return codes.reshape(values.shape)

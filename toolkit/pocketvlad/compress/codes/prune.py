"""Which weights survive: threshold pruning (the paper), target sparsity, and schedules for training."""

from __future__ import annotations

import numpy as np

_SLICE = 1 << 24  # weights compared at a time


def survivors_above(weight: np.ndarray, threshold: float) -> np.ndarray:
    """Bool of the shape of ``weight``: true where ``|w| >= threshold``."""
    keep = np.empty(weight.size, bool)
    flat = weight.reshape(-1)
    for start in range(0, flat.size, _SLICE):
        keep[start : start + _SLICE] = np.abs(flat[start : start + _SLICE]) >= threshold
    return keep.reshape(weight.shape)


def sparsity_threshold(weight: np.ndarray, sparsity: float) -> float:
    """The threshold that prunes the given fraction of the tensor's smallest weights (ties survive)."""
    pruned = round(sparsity * weight.size)
    if pruned == 0:
        return 0.0
    magnitude = np.abs(weight.reshape(-1))
    if pruned == magnitude.size:
        return float(np.nextafter(magnitude.max(), np.float32(np.inf)))
    magnitude.partition(pruned)
    return float(magnitude[pruned])


def survivors(weight: np.ndarray, threshold: float, sparsity: float) -> np.ndarray | None:
    """The mask of a layer's recipe, bool of the shape of ``weight``; None where nothing is pruned."""
    if sparsity:
        threshold = sparsity_threshold(weight, sparsity)
    return survivors_above(weight, threshold) if threshold else None


def cubic_schedule(final: float, step: int, steps: int) -> float:
    """Threshold or sparsity of an iterative schedule: steep at first, flat at the end.

    Zhu and Gupta, "To prune, or not to prune", 2017, eq. 1.

    Args:
        final: reached at ``step >= steps``.
        step: from 0.
        steps: length of the ramp; 0 means at once.
    """
    if step >= steps:
        return final
    return final * (1 - (1 - step / steps) ** 3)

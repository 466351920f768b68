"""Which weights survive."""

from __future__ import annotations

import numpy as np

from pocketvlad.recipe import LayerRecipe


def survivors(weights: np.ndarray, recipe: LayerRecipe) -> np.ndarray | None:
    """bool of the weights' shape, or None when the recipe prunes nothing.

    A threshold keeps ``|w| >= threshold`` (Saha et al. 2017, section 3.1); a sparsity prunes that fraction
    of the layer's smallest weights, ties kept.
    """
    if recipe.threshold:
        return np.abs(weights) >= recipe.threshold
    if recipe.sparsity:
        return np.abs(weights) >= magnitude_quantile(weights, recipe.sparsity)
    return None


def magnitude_quantile(weights: np.ndarray, fraction: float) -> float:
    """The magnitude below which ``fraction`` of the weights lie (exact order statistic)."""
    magnitudes = np.abs(weights).reshape(-1)
    rank = min(int(fraction * magnitudes.size), magnitudes.size - 1)
    return float(np.partition(magnitudes, rank)[rank])


def pruned_fraction(mask: np.ndarray | None) -> float:
    """Share of the weights that were pruned."""
    return 0.0 if mask is None else 1.0 - float(mask.mean())

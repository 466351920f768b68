"""Which photos a training step sees: NetVLAD's mining, and the paper's loss.

Arandjelovic et al., CVPR 2016, section 4: of a query's potential positives the nearest one counts; hard
negatives come from a cache of descriptors that is refreshed now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pocketvlad.dataset.types import Query

_POOL = 1000  # negatives drawn at random before the hardest are taken, as in the original code


@dataclass(frozen=True)
class TrainingTuple:
    """A query, its best positive and its hardest negatives, as photo numbers."""

    query: int
    positive: int
    negatives: tuple[int, ...]

    @property
    def photos(self) -> tuple[int, ...]:
        return (self.query, self.positive, *self.negatives)


def mine(
    query: Query,
    cache: np.ndarray,
    database: np.ndarray,
    count: int,
    margin: float,
    random: np.random.Generator,
) -> TrainingTuple:
    """The tuple of one query.

    Args:
        query: with at least one positive.
        cache: float32 [photos, dim], descriptors of a recent model.
        database: int64, the photos negatives come from.
        count: negatives wanted; only those that violate the margin are taken, so there may be fewer.
        margin: on squared distances.
        random: draws the pool the hardest are taken from.
    """
    positives = np.fromiter(sorted(query.positives), np.int64)
    distance = squared_distances(cache[positives], cache[query.photo])
    nearest = int(positives[distance.argmin()])
    excluded = np.fromiter({query.photo, *query.positives, *query.junk}, np.int64)
    candidates = np.setdiff1d(database, excluded)
    if candidates.size > _POOL:
        candidates = np.sort(random.choice(candidates, _POOL, replace=False))
    away = squared_distances(cache[candidates], cache[query.photo])
    order = np.argsort(away, kind="stable")[:count]
    violating = [int(candidates[i]) for i in order if margin + distance.min() > away[i]]
    return TrainingTuple(query.photo, nearest, tuple(violating))


def squared_distances(rows: np.ndarray, point: np.ndarray) -> np.ndarray:
    """|row - point|^2 of unit vectors, float32 [n]."""
    return 2 - 2 * (rows @ point)


def triplet_loss(query: Tensor, positive: Tensor, negatives: Tensor, margin: float) -> Tensor:
    """``mean over n of 1/2 max(0, m + |q - p|^2 - |q - n|^2)``: the paper's loss.

    Args:
        query, positive: float32 [dim].
        negatives: float32 [n, dim]; for n = 0 the loss is 0.
        margin: m.
    """
    if len(negatives) == 0:
        return query.new_zeros(())
    near = (query - positive).square().sum()
    far = (query[None] - negatives).square().sum(dim=1)
    return 0.5 * torch.relu(margin + near - far).mean()


def epoch_order(queries: Sequence[Query], seed: int, epoch: int) -> list[Query]:
    """The queries of an epoch in their order: a function of seed and epoch alone, so resuming is easy."""
    usable = [query for query in queries if query.positives]
    return [usable[i] for i in np.random.default_rng([seed, epoch]).permutation(len(usable))]

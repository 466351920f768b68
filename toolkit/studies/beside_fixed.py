"""A chosen whitening beside every fixed one, on the queries of places that it was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pocketvlad.evaluate.metrics import bootstrap_difference
from pocketvlad.model.choice import STRENGTHS
from pocketvlad.model.wanted import FULL, PCA
from studies.scores import interval

Setting = tuple[int | None, float]  # dimensions and strength
NONE: Setting = (None, PCA)  # no whitening
_SHOWN = (FULL, 0.9, 0.7, 0.45, PCA)  # strengths that have a column
COLUMNS = (
    "fits → tests",
    "queries",
    "chosen: dimensions, strength",
    "mAP",
    "not whitened",
    *(f"strength {strength:g}" for strength in _SHOWN),
    "over full (95%)",
    "over the best fixed (95%)",
)


@dataclass(frozen=True, eq=False)
class Measured:
    """Average precisions of the testing photos' queries, float64 [queries] each.

    Attributes:
        said: what was chosen.
        own: of the chosen one.
        full: of full whitening with as many dimensions; with the most there are where none was chosen.
        plain: of no whitening.
        curve: of each strength with as many dimensions as ``full``.
        candidates: of all that could be chosen.
        collection: whose each query is, int [queries].
        places: of which each query is, int [queries], no number twice among all photos.
    """

    said: str
    own: np.ndarray
    full: np.ndarray
    plain: np.ndarray
    curve: dict[float, np.ndarray]
    candidates: dict[Setting, np.ndarray]
    collection: np.ndarray
    places: np.ndarray

    @classmethod
    def of(
        cls,
        chosen: Setting,
        grid: dict[Setting, np.ndarray],
        dim: int | None,
        whose: np.ndarray,
        places: np.ndarray,
    ) -> Measured:
        """``dim``: what was wanted; None: any, or no whitening."""
        most = chosen[0] or max(each for each, _ in grid if each)
        candidates = {key: each for key, each in grid.items() if dim is None or key[0] == dim}
        curve = {strength: grid[most, strength] for strength in STRENGTHS}
        own, full = grid[chosen], curve[FULL]
        return cls(said_of(chosen), own, full, grid[NONE], curve, candidates, whose, places)

    @classmethod
    def together(cls, parts: Sequence[Measured]) -> Measured:
        """Of all their queries; the best is one for all of them."""

        keys = set.intersection(*({*part.candidates} for part in parts))
        return cls(
            "; ".join(part.said for part in parts),
            np.concatenate([part.own for part in parts]),
            np.concatenate([part.full for part in parts]),
            np.concatenate([part.plain for part in parts]),
            {key: np.concatenate([part.curve[key] for part in parts]) for key in STRENGTHS},
            {key: np.concatenate([part.candidates[key] for part in parts]) for key in sorted(keys, key=str)},
            np.concatenate([part.collection for part in parts]),
            np.concatenate([part.places for part in parts]),
        )

    @property
    def best(self) -> np.ndarray:
        """Of the candidate that these queries like best, which nobody can know before."""
        return max(self.candidates.values(), key=lambda each: float(each.mean()))

    def regret(self, scores: np.ndarray) -> float:
        """Points of mAP that these average precisions lie below those of the best candidate."""
        return 100 * float(self.best.mean() - scores.mean())

    def asked(self, which: np.ndarray) -> Measured:
        """Of some queries alone, bool [queries]."""
        curve = {key: each[which] for key, each in self.curve.items()}
        candidates = {key: each[which] for key, each in self.candidates.items()}
        own, full, plain = self.own[which], self.full[which], self.plain[which]
        whose, places = self.collection[which], self.places[which]
        return Measured(self.said, own, full, plain, curve, candidates, whose, places)

    def cells(self, name: str) -> tuple[str, ...]:
        """Text by ``COLUMNS``."""
        means = (self.own, self.plain, *(self.curve[each] for each in _SHOWN))
        points = (f"{100 * each.mean():.1f}" for each in means)
        gains = _change(self.full, self.own), _change(self.best, self.own)
        return (name, str(len(self.own)), self.said, *points, *gains)

    def rows(self, name: str, collections: Sequence[str]) -> list[tuple[str, ...]]:
        """One for all queries, and one for those of each collection where several test."""
        rows, there = [self.cells(name)], np.unique(self.collection)
        if len(there) > 1:
            rows += [self.asked(self.collection == each).cells(f"  of {collections[each]}") for each in there]
        return rows


def said_of(setting: Setting) -> str:
    """``512, 0.45``, or ``none``."""
    dim, strength = setting
    return "none" if dim is None else f"{dim}, {strength:g}"


def _change(before: np.ndarray, after: np.ndarray) -> str:
    change = bootstrap_difference(before, after)
    return interval(change.points())

"""What a choice costs beside the best fixed setting, and what it must cost where the queries are few.

The best fixed setting of some queries is known only after them. So that a choice's cost can be told from chance, three
choices know what no rule does, the tested places themselves: the setting that is best on them, asked by other places of
the same kind (a bootstrap of the places); the best on one half of them, asked by the other; the best on as many places
of the same kind, asked by as many others (two bootstraps).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from studies.beside_fixed import Measured, Setting, said_of

ALLOWED = 0.5  # points below the best fixed one
DRAWS = 2000
_SEED = 0
_MOST_ROWS = 12  # of fixed settings that are shown
_EACH = "mean (95% at most), share above 0.5"
COLUMNS = (
    "fits → tests",
    "queries, places",
    "chosen",
    "its regret",
    "regret of the best constant",
    f"best here, asked by places like these: {_EACH}",
    f"chosen on one half of these places, asked by the other: {_EACH}",
    f"chosen on as many places like these: {_EACH}",
)
Rows = Mapping[str, Measured]


@dataclass(frozen=True, eq=False)
class ByPlace:
    """Average precisions of every setting added up for each place.

    Attributes:
        sums: float64 [settings, places].
        counts: queries, int [places].
    """

    sums: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, places: np.ndarray) -> ByPlace:
        """Of scores [settings, queries] and the place of each query."""
        number = np.unique(places, return_inverse=True)[1]
        counts = np.bincount(number)
        return cls(np.stack([np.bincount(number, each, len(counts)) for each in scores]), counts)

    def means(self, weights: np.ndarray) -> np.ndarray:
        """Mean average precision by how often each place is there, [places, draws] -> [settings, draws]."""
        return (self.sums @ weights) / (self.counts @ weights)

    def resampled(self, random: np.random.Generator) -> np.ndarray:
        """Means of as many places drawn with replacement, [settings, DRAWS]."""
        places = len(self.counts)
        return self.means(random.multinomial(places, np.full(places, 1 / places), DRAWS).T)


def of_the_best(found: ByPlace, random: np.random.Generator) -> np.ndarray:
    """Regret in points of the setting that is best on these places, on places like them, float64 [DRAWS]."""
    best = int(found.means(np.ones((len(found.counts), 1)))[:, 0].argmax())
    return _regret(found.resampled(random), np.full(DRAWS, best))


def of_halves(found: ByPlace, random: np.random.Generator) -> np.ndarray:
    """Regret in points on one half of the places of the setting that the other likes best, float64 [DRAWS]."""
    places = len(found.counts)
    one = random.permuted(np.tile(np.arange(places) < places // 2, (DRAWS, 1)), axis=1).T
    return _regret(found.means(~one), found.means(one).argmax(axis=0))


def of_as_many(found: ByPlace, random: np.random.Generator) -> np.ndarray:
    """Regret in points of a choice by as many places of the same kind, on as many others, float64 [DRAWS]."""
    return _regret(found.resampled(random), found.resampled(random).argmax(axis=0))


def _regret(means: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """By the setting of each draw, of means [settings, draws]."""
    return 100 * (means.max(axis=0) - means[chosen, np.arange(means.shape[1])])


def constants(rows: Rows) -> dict[Setting, tuple[float, ...]]:
    """The regret in points in every row of each setting that all rows have, the smallest worst one first."""
    common = set.intersection(*({*row.candidates} for row in rows.values()))
    found = {
        setting: tuple(row.regret(row.candidates[setting]) for row in rows.values()) for setting in common
    }
    return dict(sorted(found.items(), key=lambda item: (max(item[1]), str(item[0]))))


def regret_rows(rows: Rows) -> list[tuple[str, ...]]:
    """Text by ``COLUMNS``."""
    constant = next(iter(constants(rows).values()))
    return [_cells(name, row, fixed) for (name, row), fixed in zip(rows.items(), constant, strict=True)]


def _cells(name: str, row: Measured, constant: float) -> tuple[str, ...]:
    found = ByPlace.of(np.stack([*row.candidates.values()]), row.places)
    random = np.random.default_rng(_SEED)
    drawn = [each(found, random) for each in (of_the_best, of_halves, of_as_many)]
    asked = f"{len(row.own)}, {len(found.counts)}"
    return (name, asked, row.said, f"{row.regret(row.own):.1f}", f"{constant:.1f}", *map(_summed_up, drawn))


def _summed_up(regrets: np.ndarray) -> str:
    share = 100 * (regrets > ALLOWED).mean()
    return f"{regrets.mean():.1f} ({np.quantile(regrets, 0.95):.1f}), {share:.0f}%"


def constant_columns(rows: Rows) -> tuple[str, ...]:
    """Headings of :func:`constant_rows`."""
    return ("fixed setting", *rows, "worst")


def constant_rows(rows: Rows) -> list[tuple[str, ...]]:
    """The choice, then the constants whose worst regret is smallest."""
    chosen = tuple(row.regret(row.own) for row in rows.values())
    fixed = list(constants(rows).items())[:_MOST_ROWS]
    named = [("chosen each time", chosen), *((said_of(setting), each) for setting, each in fixed)]
    return [(name, *(f"{value:.1f}" for value in (*each, max(each)))) for name, each in named]

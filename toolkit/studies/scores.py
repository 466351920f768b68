"""What a contender makes of the photos, and the row it has in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pocketvlad.evaluate.metrics import Difference, bootstrap_difference

ALLOWED_DROP = -2.0  # points: an interval that ends no lower loses nothing
COLUMNS = ("method", "MB", "weights smaller", "cosine", "mAP", "change of mAP (95%)")


@dataclass(frozen=True, eq=False)
class Tested:
    """What a contender makes of one fold's testing photos.

    Attributes:
        descriptors: float32 [photos, dim].
        file_bytes: of its program, or of its weights where there is no program.
        weight_bytes: of its weights alone.
        float_bytes: of the same weights in float32.
    """

    descriptors: np.ndarray
    file_bytes: int
    weight_bytes: int
    float_bytes: int


@dataclass(frozen=True, eq=False)
class Scores:
    """A contender over all folds, query by query.

    Attributes:
        before, after: average precisions of the float32 program and of the contender, float64 [queries].
        cosines: between the descriptors of both, float32 [photos].
        file_bytes, weight_bytes, float_bytes: of :class:`Tested`, means of the folds.
    """

    before: np.ndarray
    after: np.ndarray
    cosines: np.ndarray
    file_bytes: float
    weight_bytes: float
    float_bytes: float

    def outcome(self, name: str) -> Outcome:
        """The row of a table."""
        change = bootstrap_difference(self.before, self.after)
        return Outcome(
            name,
            self.file_bytes / 1e6,
            (self.file_bytes - self.weight_bytes) / 1e6,
            self.float_bytes / self.weight_bytes,
            float(self.cosines.mean()),
            100 * float(self.before.mean()),
            100 * float(self.after.mean()),
            100 * change.mean,
            100 * change.low,
            100 * change.high,
            len(self.before),
        )


def joined(folds: Sequence[Scores]) -> Scores:
    """The queries and photos of all folds, their mean sizes."""
    return Scores(
        np.concatenate([one.before for one in folds]),
        np.concatenate([one.after for one in folds]),
        np.concatenate([one.cosines for one in folds]),
        float(np.mean([one.file_bytes for one in folds])),
        float(np.mean([one.weight_bytes for one in folds])),
        float(np.mean([one.float_bytes for one in folds])),
    )


@dataclass(frozen=True)
class Outcome:
    """A contender over all folds; mAP in points of 100, the interval paired over all queries.

    ``ratio`` is the float32 bytes of the weights over the bytes of the packed arrays; what the ``.pte`` holds beside
    them stands apart in ``overhead_mb``.
    """

    name: str
    program_mb: float
    overhead_mb: float
    ratio: float
    cosine: float
    map_before: float
    map_after: float
    change: float
    low: float
    high: float
    queries: int

    @property
    def smaller(self) -> float:
        """The float32 bytes of the weights over the bytes of the whole file."""
        return self.ratio * (1 - self.overhead_mb / self.program_mb)

    @property
    def loses_nothing(self) -> bool:
        """Whether the interval ends no lower than what is allowed."""
        return self.low >= ALLOWED_DROP

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "smaller": self.smaller, "loses_nothing": self.loses_nothing}

    def cells(self) -> tuple[str, ...]:
        """Text by ``COLUMNS``."""
        sizes = (f"{self.program_mb:.2f}", f"{self.ratio:.1f}x")
        change = interval(Difference(self.change, self.low, self.high))
        return (self.name, *sizes, f"{self.cosine:.4f}", f"{self.map_after:.1f}", change)


def interval(change: Difference) -> str:
    """``+0.6 (+0.2 to +1.1)``, of points."""
    mean, low, high = (f"{value:+.1f}".replace("-", "−") for value in (change.mean, change.low, change.high))
    return f"{mean} ({low} to {high})"

"""The rows of bench.json, and side-by-side timing.

Contenders take turns within a round, so that all of them meet the same noise.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_ATTEMPTS = 5


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one contender over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, seconds: list[float]) -> Timing:
        ordered = sorted(1e3 * value for value in seconds)
        return cls(statistics.median(ordered), ordered[len(ordered) // 10], ordered[-1 - len(ordered) // 10])


@dataclass(frozen=True)
class Row:
    """One line of bench.json: ``ratio`` above 1 means better than the peer.

    Attributes:
        ours, theirs: in ``unit``, which names them in bench.json: ``ours_ms`` and ``peer_ms``.
        goal: the ratio wanted, or None.
        spread: 10th and 90th percentile of ours, where it was timed; ``peer_spread`` the peer's.
        bytes: of our file and of the peer's, where they belong to the figure.
    """

    name: str
    ours: float
    peer: str
    theirs: float
    ratio: float
    goal: float | None
    threads: int
    unit: str = "ms"
    spread: tuple[float, float] | None = None
    peer_spread: tuple[float, float] | None = None
    bytes: tuple[int, int] | None = None

    @property
    def digits(self) -> int:
        """Behind the decimal point of the two figures, in a table."""
        return {"ms": 2, "cosine": 4}.get(self.unit, 1)

    def to_json(self) -> dict:
        unit = self.unit.replace(" ", "_")
        found = {"name": self.name, "unit": self.unit, f"ours_{unit}": self.ours, "peer": self.peer}
        found |= {
            f"peer_{unit}": self.theirs,
            "ratio": self.ratio,
            "goal": self.goal,
            "threads": self.threads,
        }
        if self.spread is not None:
            found |= {f"spread_{unit}": self.spread, f"peer_spread_{unit}": self.peer_spread}
        if self.bytes is not None:
            found |= {"ours_bytes": self.bytes[0], "peer_bytes": self.bytes[1]}
        return found


def compare(name: str, ours: Timing, peer: str, theirs: Timing, goal: float | None, threads: int) -> Row:
    return Row(
        name,
        ours.median,
        peer,
        theirs.median,
        theirs.median / ours.median,
        goal,
        threads,
        spread=(ours.low, ours.high),
        peer_spread=(theirs.low, theirs.high),
    )


def take_turns(
    contenders: Mapping[str, Callable[[], object]], rounds: int, before: Callable[[], object] | None = None
) -> dict[str, Timing]:
    """Time every contender once a round, ``before`` (not timed) ahead of each call; two calls warm it up.

    A call during which the system gave the processor to someone else is timed again, up to ``_ATTEMPTS`` times.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():
        call()
        call()
    for _ in range(rounds):
        for name, call in contenders.items():
            seconds[name].append(_undisturbed(call, before))
    return {name: Timing.of(values) for name, values in seconds.items()}


def _undisturbed(call: Callable[[], object], before: Callable[[], object] | None) -> float:
    best = float("inf")
    for _ in range(_ATTEMPTS):
        if before is not None:
            before()
        start, start_cpu = time.perf_counter(), time.process_time()
        call()
        wall, cpu = time.perf_counter() - start, time.process_time() - start_cpu
        best = min(best, wall)
        if wall <= 1.05 * cpu + 20e-6:
            return wall
    return best

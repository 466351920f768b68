"""Ours beside a peer: side-by-side timing, and the rows of bench.json.

Contenders take turns within a round, so that all of them meet the same noise.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MS = "ms"
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
class Comparison:
    """One line of bench.json: ``ratio`` above 1 means better than the peer.

    Attributes:
        ours, theirs: in ``unit``, which is part of their names in bench.json: ``ours_ms`` and ``peer_ms``.
        goal: the ratio wanted, or None.
        spread: 10th and 90th percentile of ours, where it was timed; ``peer_spread`` the peer's.
    """

    name: str
    ours: float
    peer: str
    theirs: float
    ratio: float
    goal: float | None
    threads: int
    unit: str = MS
    spread: tuple[float, float] | None = None
    peer_spread: tuple[float, float] | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        return None if self.goal is None else self.ratio >= self.goal

    def to_json(self) -> dict[str, Any]:
        """Values by :func:`columns`, and the spreads."""
        unit = _in_names(self.unit)
        values = (self.name, self.ours, self.peer, self.theirs, self.ratio, self.goal, self.threads)
        found: dict[str, Any] = dict(zip(columns(self.unit), values, strict=True))
        if self.spread is not None:
            found |= {f"spread_{unit}": self.spread, f"peer_spread_{unit}": self.peer_spread}
        return found

    def cells(self) -> tuple[str, ...]:
        """The same as text."""
        digits = 2 if self.unit == MS else 1
        ours, theirs = (f"{value:.{digits}f}" for value in (self.ours, self.theirs))
        if self.spread is not None:
            ours += f" ({self.spread[0]:.2f}-{self.spread[1]:.2f})"
        goal = "" if self.goal is None else f"{self.goal:g}{'' if self.met else ' missed'}"
        return (self.name, ours, self.peer, theirs, f"{self.ratio:.2f}", goal, str(self.threads))


def columns(unit: str) -> tuple[str, ...]:
    """Of a table of comparisons in this unit."""
    unit = _in_names(unit)
    return ("name", f"ours_{unit}", "peer", f"peer_{unit}", "ratio", "goal", "threads")


def _in_names(unit: str) -> str:
    return unit.replace(" ", "_")


def compare(
    name: str, ours: Timing, peer: str, theirs: Timing, goal: float | None, threads: int
) -> Comparison:
    return Comparison(
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

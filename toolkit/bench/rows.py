"""Side-by-side timing: contenders take turns within a round, so that all of them meet the same noise."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

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
    """One line of bench.json: ``ratio`` above 1 means faster than the peer.

    Attributes:
        spread_ms: 10th and 90th percentile of ours; ``peer_spread_ms`` of the peer's.
        goal: the ratio wanted, or None.
    """

    name: str
    ours_ms: float
    peer: str
    peer_ms: float
    ratio: float
    goal: float | None
    threads: int
    spread_ms: tuple[float, float]
    peer_spread_ms: tuple[float, float]

    def to_json(self) -> dict:
        return asdict(self)


def compare(name: str, ours: Timing, peer: str, theirs: Timing, goal: float | None, threads: int) -> Row:
    return Row(
        name,
        ours.median,
        peer,
        theirs.median,
        theirs.median / ours.median,
        goal,
        threads,
        (ours.low, ours.high),
        (theirs.low, theirs.high),
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

"""The self-test of one APK on a phone beside this machine: times by stage and by threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pocketvlad.android.results import (
    STAGES,
    JsonValues,
    Percentiles,
    SelfTestResult,
    ThreadTimes,
    percentiles,
)


@dataclass(frozen=True)
class StageTimes(JsonValues):
    """Milliseconds of one stage on the phone and on this machine, over all pictures and runs."""

    stage: str
    phone_p50: float
    phone_p90: float
    phone_p99: float
    host_p50: float
    host_p90: float
    host_p99: float


@dataclass(frozen=True)
class ThreadRow(JsonValues):
    """Milliseconds of the program with so many threads, on the phone and on this machine; None where it was not run."""

    threads: int
    phone_p50: float | None
    phone_p90: float | None
    phone_p99: float | None
    host_p50: float | None
    host_p90: float | None
    host_p99: float | None


@dataclass(frozen=True)
class BenchResult:
    """The self-test of one APK on a phone and on this machine."""

    phone: SelfTestResult
    host: SelfTestResult

    @property
    def stages(self) -> tuple[StageTimes, ...]:
        """A row for each of STAGES."""
        return tuple(_stage(name, self.phone.times(name), self.host.times(name)) for name in STAGES)

    @property
    def threads(self) -> tuple[ThreadRow, ...]:
        """A row for each number of threads that one of the two was run with."""
        phone, host = ({row.threads: row for row in result.scaling} for result in (self.phone, self.host))
        counts = sorted(phone.keys() | host.keys())
        return tuple(
            ThreadRow(count, *_inference(phone.get(count)), *_inference(host.get(count))) for count in counts
        )

    def to_json(self) -> dict[str, Any]:
        rows = {name: [row.to_json() for row in getattr(self, name)] for name in ("stages", "threads")}
        return {**rows, "phone": self.phone.to_json(), "host": self.host.to_json()}


def _inference(row: ThreadTimes | None) -> tuple[float | None, float | None, float | None]:
    if row is None:
        return None, None, None
    found = percentiles(row.inference_ms)
    return found.p50, found.p90, found.p99


def _stage(name: str, phone: Percentiles, host: Percentiles) -> StageTimes:
    return StageTimes(name, phone.p50, phone.p90, phone.p99, host.p50, host.p90, host.p99)

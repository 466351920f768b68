"""Programs are timed in turn, loading apart, on a clock that the test holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketvlad.model.preprocess import Preprocess
from pocketvlad.runtime import latency

MS = 1e-3


class Clock:
    """Time passes only where the programs below say so."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def told(monkeypatch):
    """The calls of every program: a slow one is 10 times slower, and each gets slower by 1 ms a call."""
    clock, calls = Clock(), []

    class Program:
        preprocess = Preprocess(4, 6)

        def __init__(self, path, threads):
            self.name, self.ms = path.name, 10 if path.name == "slow" else 1
            clock.now += 5 * self.ms * MS
            calls.append(("load", self.name, threads))

        def describe_tensor(self, tensor):
            assert tensor.shape == (3, 4, 6) and tensor.dtype == "float32"
            clock.now += self.ms * MS
            self.ms += 1
            calls.append(("run", self.name))

    monkeypatch.setattr(latency, "ProgramRunner", Program)
    monkeypatch.setattr(latency, "time", clock)
    return calls


def test_programs_are_timed_in_turn(told):
    found = latency.measure_latency({"a": Path("slow"), "b": Path("fast")}, runs=3, threads=2)
    assert list(found) == ["a", "b"]
    assert told[-6:] == [("run", "slow"), ("run", "fast")] * 3
    assert {call[2] for call in told if call[0] == "load"} == {2}
    slow, fast = found["a"], found["b"]
    assert (slow.load_ms, fast.load_ms) == pytest.approx((50, 5))
    assert (slow.first_ms, fast.first_ms) == pytest.approx((60, 6))  # loading included
    assert (slow.median_ms, slow.min_ms, slow.runs) == pytest.approx((12, 11, 3))
    assert (fast.median_ms, fast.min_ms, fast.runs) == pytest.approx((3, 2, 3))


def test_the_runtimes_own_start_is_nobodys_time(told):
    latency.measure_latency({"a": Path("slow"), "b": Path("fast")}, runs=1)
    loads = [call[1] for call in told if call[0] == "load"]
    assert loads == ["slow", "fast", "slow", "fast"]  # the first two are thrown away


def test_real_programs(tiny_run):
    programs = {name: tiny_run.out / f"{name}.pte" for name in ("float32", "fitted")}
    for times in latency.measure_latency(programs, runs=2).values():
        assert 0 < times.min_ms <= times.median_ms and 0 < times.load_ms < times.first_ms

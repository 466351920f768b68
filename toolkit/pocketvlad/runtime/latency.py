"""Time and memory of programs on this machine, side by side in one run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketvlad.runtime.runner import ProgramRunner


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one program.

    Attributes:
        load_ms: from the path to a loaded program (warm page cache, a runtime that has run before).
        first_ms: the first answer after loading, loading included.
        median_ms, min_ms: one descriptor, over ``runs`` runs in turn with the other programs.
    """

    load_ms: float
    first_ms: float
    median_ms: float
    min_ms: float
    runs: int


def measure_latency(programs: Mapping[str, Path], *, runs: int = 10, threads: int = 1) -> dict[str, Latency]:
    """Time the programs in turn (A B A B …), so that a drifting clock meets all of them alike."""
    runners: dict[str, ProgramRunner] = {}
    loads: dict[str, tuple[float, float]] = {}
    inputs: dict[str, np.ndarray] = {}
    for path in programs.values():  # untimed: whoever came first would pay for starting the runtime
        _run_once(path, threads)
    for name, path in programs.items():
        start = time.perf_counter()
        runner = ProgramRunner(path, threads=threads)
        loaded = time.perf_counter()
        preprocess = runner.preprocess
        shape = (3, preprocess.height, preprocess.width)
        inputs[name] = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        before = time.perf_counter()
        runner.describe_tensor(inputs[name])
        first = time.perf_counter() - before
        loads[name] = ((loaded - start) * 1e3, (loaded - start + first) * 1e3)
        runners[name] = runner
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(runs):
        for name, runner in runners.items():
            start = time.perf_counter()
            runner.describe_tensor(inputs[name])
            times[name].append((time.perf_counter() - start) * 1e3)
    return {
        name: Latency(*loads[name], float(np.median(values)), min(values), runs)
        for name, values in times.items()
    }


def _run_once(path: Path, threads: int) -> None:
    runner = ProgramRunner(path, threads=threads)
    preprocess = runner.preprocess
    runner.describe_tensor(np.zeros((3, preprocess.height, preprocess.width), np.float32))

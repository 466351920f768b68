"""Times of programs on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pocketvlad import machine
from pocketvlad.runtime.latency import Latency, measure_latency
from pocketvlad.runtime.profile import OpTime, profile_program
from pocketvlad.steps.common import Result, megabytes


@dataclass(frozen=True)
class ProgramTime(Result):
    """One program's size and times."""

    program: str
    mb: float
    times: Latency


@dataclass(frozen=True)
class Bench(Result):
    """Times of programs, measured in turn, and those of their ops by program where asked."""

    machine: Mapping[str, object]
    threads: int
    programs: tuple[ProgramTime, ...]
    ops: dict[str, tuple[OpTime, ...]] = field(default_factory=dict)


def bench(programs: Sequence[Path], *, runs: int = 20, threads: int = 1, profile: bool = False) -> Bench:
    """Latency, load time and size of programs, and with ``profile`` the time of each op."""
    names = {str(path): path for path in programs}
    times = measure_latency(names, runs=runs, threads=threads)
    rows = tuple(ProgramTime(name, megabytes(names[name]), times[name]) for name in names)
    ops: dict[str, tuple[OpTime, ...]] = {}
    if profile:
        ops = {name: profile_program(path, runs=runs, threads=threads).ops for name, path in names.items()}
    return Bench(machine.describe(), threads, rows, ops)

"""A cold start: from nothing to the first answer, and what it leaves in memory, each in a process of its own.

The processes of the contenders take turns: once with the file on the disk alone, as after the device was switched on,
once with the file in the page cache. ``anonymous`` is memory that is not the mapped file: what a phone must find free;
``activations`` are the part of it that a program of ours plans for what passes between its operators.
What the first answer takes beyond the second is loading and preparing alone, without computing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from executorch.exir._serialize._program import deserialize_pte_binary

from bench.asked import Asked
from bench.models import chosen
from bench.programs import DYNAMIC, FP32, INT8, OURS, programs
from bench.rows import Comparison, Timing, compare

_CHILD = """
import json, sys, time, torch
from executorch.extension.pybindings import portable_lib
from pocketvlad.core.native import executorch
executorch()
portable_lib._unsafe_reset_threadpool(int(sys.argv[2]))
def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024
x, before, start = torch.zeros(1, 3, int(sys.argv[3]), int(sys.argv[4])), anonymous(), time.perf_counter()
module = portable_lib._load_for_executorch(sys.argv[1])
module.forward((x,))
first, memory, again = time.perf_counter() - start, anonymous() - before, []
for _ in range(5):
    start = time.perf_counter()
    module.forward((x,))
    again.append(time.perf_counter() - start)
print(json.dumps({"seconds": first, "anonymous": memory, "again": sorted(again)[2]}))
"""
GOALS = {FP32: 20.0, INT8: 3.0} | dict.fromkeys(DYNAMIC, 3.0)
BACKBONES = ("alexnet",)
FROM = {"disk": True, "page cache": False}
_STARTS = 3


def run(asked: Asked) -> list[Comparison]:
    """As :func:`bench.models.run`; file bytes and anonymous megabytes stand in the row's name."""
    found: list[Comparison] = []
    for model in chosen(asked.only or BACKBONES):
        paths = programs(model, asked.folder, asked.say, asked.labels)
        asked.say(f"{model.name}: cold starts")
        for place, evicted in FROM.items():
            starts: dict[str, list[dict[str, float]]] = {label: [] for label in paths}
            for _ in range(_STARTS):
                for label, path in paths.items():
                    if evicted:
                        evict(path)
                    starts[label].append(cold_start(path, asked.threads, model.height, model.width))
            found += _rows(f"first answer from {place}, {model.name}", starts, paths, asked.threads)
    return found


def evict(path: Path) -> None:
    """Take the file out of the page cache (Linux; elsewhere nothing happens)."""
    if not hasattr(os, "posix_fadvise"):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def cold_start(path: Path, threads: int, height: int, width: int) -> dict[str, float]:
    """``seconds`` from loading a program to its first answer in a new process, the ``anonymous`` bytes it takes, and
    the seconds of an answer ``again``.
    """
    command = [sys.executable, "-c", _CHILD, *map(str, (path, threads, height, width))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def activation_bytes(path: Path) -> int:
    """Planned by a program for what passes between its operators."""
    program = deserialize_pte_binary(path.read_bytes()).program
    return sum(sum(plan.non_const_buffer_sizes) for plan in program.execution_plan)


def _said(label: str, path: Path, anonymous: float) -> str:
    megabytes = f"{label} {path.stat().st_size / 1e6:.1f} MB, {anonymous / 1e6:.1f} MB anonymous"
    if label not in OURS:
        return megabytes
    return f"{megabytes}, {activation_bytes(path) / 1e6:.1f} of them activations"


def _rows(
    prefix: str, starts: dict[str, list[dict[str, float]]], paths: dict[str, Path], threads: int
) -> list[Comparison]:
    times = {label: Timing.of([start["seconds"] for start in each]) for label, each in starts.items()}
    alone = {
        label: Timing.of([start["seconds"] - start["again"] for start in each])
        for label, each in starts.items()
    }
    said = {
        label: _said(label, paths[label], min(start["anonymous"] for start in each))
        for label, each in starts.items()
    }
    rows = []
    for ours in filter(OURS.__contains__, starts):
        for peer, goal in GOALS.items():
            if peer not in starts:
                continue
            name = f"{prefix}, {said[ours]}; {said[peer]}"
            wanted = goal if threads == 1 else None
            rows.append(compare(name, times[ours], peer, times[peer], wanted, threads))
            rows.append(
                compare(f"{prefix}, without computing", alone[ours], peer, alone[peer], None, threads)
            )
    return rows

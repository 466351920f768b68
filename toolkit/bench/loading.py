"""A cold start: from nothing to the first answer, and what it leaves in memory, each in a process of its own.

The processes of the contenders take turns: once with the file on the disk alone, as after the device was switched on,
once with the file in the page cache. ``anonymous`` is memory that is not the mapped file: what a phone must find free.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench import models, peers
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
print(json.dumps({"seconds": time.perf_counter() - start, "anonymous": anonymous() - before}))
"""
GOALS = {models.FP32: 20.0, models.INT8: 3.0}
BACKBONES = ("alexnet",)
FROM = {"disk": True, "page cache": False}
_STARTS = 3


def run(folder: Path, threads: int, rounds: int, say: Callable[[str], None]) -> list[Comparison]:
    """AlexNet at the sizes of the model bench; anonymous megabytes stand in the row's name."""
    del rounds  # a process each: a few starts are enough
    found: list[Comparison] = []
    for backbone, dim, height, width, _ in models.MODELS:
        if backbone not in BACKBONES:
            continue
        paths = {}
        for label, build in models.contenders(backbone, dim, height, width).items():
            paths[label] = peers.exported(
                folder / models.file_name(backbone, height, width, label), build, (1, 3, height, width)
            )
        say(f"{backbone} {height}x{width}: cold starts")
        for place, evicted in FROM.items():
            starts: dict[str, list[dict[str, float]]] = {label: [] for label in paths}
            for _ in range(_STARTS):
                for label, path in paths.items():
                    if evicted:
                        evict(path)
                    starts[label].append(cold_start(path, threads, height, width))
            found += _rows(f"first answer from {place}, {backbone} {height}x{width}", starts, threads)
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
    """``seconds`` from loading a program to its first answer in a new process, and the ``anonymous`` bytes it takes."""
    command = [sys.executable, "-c", _CHILD, *map(str, (path, threads, height, width))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _rows(prefix: str, starts: dict[str, list[dict[str, float]]], threads: int) -> list[Comparison]:
    times = {label: Timing.of([start["seconds"] for start in each]) for label, each in starts.items()}
    memory = {label: min(start["anonymous"] for start in each) / 1e6 for label, each in starts.items()}
    rows = []
    for ours in models.OURS:
        for peer, goal in GOALS.items():
            name = f"{prefix}, {ours}, {memory[ours]:.0f} MB anonymous; {peer} {memory[peer]:.0f} MB"
            wanted = goal if threads == 1 else None
            rows.append(compare(name, times[ours], peer, times[peer], wanted, threads))
    return rows

"""The whitening layer alone: a matrix times one vector, cold (evicted from the caches) and warm.

What binds a cold call is shown by the in-cache rows: the same kernel's time a row where the packed bytes stay in the
second cache, which is computing alone, for as many rows, beside a plain streaming read of the packed bytes, which is
memory alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from bench import caches, peers
from bench.asked import Asked
from bench.rows import Comparison, Timing, compare, take_turns

SHAPES = {
    "16384x4096": (16384, 4096),
    "32768x4096": (32768, 4096),
    "16640x8448": (16640, 8448),  # MegaLoc's
    "16640x32": (16640, 32),  # what a call takes however many rows there are
}
USUAL = ("16384x4096", "32768x4096")
FP32, INT8, INT4 = "XNNPACK fp32", "XNNPACK int8", "XNNPACK int4"
STREAM = "streaming read of the packed bytes"
_CALLS = 10  # of a small program to a timing


@dataclass(frozen=True)
class Ours:
    """One packed layer: ``kept`` is the share of survivors of a sparse layer, ``block`` the M of a 1:M one.

    ``goals`` are the ratios wanted of each peer, on one thread and cold; None: only shown.
    """

    name: str
    bits: int
    goals: dict[str, float | None]
    fast: bool = True
    kept: float = 1.0
    block: int = 0


OURS = [
    Ours("8-bit", 8, {INT8: 1.0, STREAM: 0.8}),
    Ours("6-bit", 6, {INT8: None, STREAM: 0.8}),
    Ours("5-bit", 5, {INT8: 1.2, STREAM: 0.8}),
    Ours("4-bit", 4, {INT4: 1.0, FP32: 12.0, STREAM: 0.8}),
    Ours("3-bit", 3, {INT4: 1.25, STREAM: 0.8}),
    Ours("2-bit", 2, {INT4: 1.7, STREAM: 0.8}),
    Ours("ternary, bitmap, 90% zeros", 1, {INT4: None}, kept=0.1),
    Ours("ternary, 1:16, 94% zeros", 1, {INT4: 2.0}, block=16),
    Ours("ternary, 1:8, 88% zeros", 1, {INT4: 2.0, STREAM: None}, block=8),
    Ours("ternary, 1:4, 75% zeros", 1, {INT4: None}, block=4),
    Ours("2-bit, 1:2, 50% zeros", 2, {INT4: None}, block=2),
    Ours("8-bit exact", 8, {FP32: 1.0}, fast=False),
    Ours("4-bit exact", 4, {FP32: 1.0}, fast=False),
]


def run(asked: Asked) -> list[Comparison]:
    """All rows; ``only`` names shapes of :data:`SHAPES`. Chosen contenders lack the rows of computing alone."""
    peers.use_threads(asked.threads)
    found: list[Comparison] = []
    for columns, rows in (SHAPES[name] for name in SHAPES if name in (asked.only or USUAL)):
        asked.say(f"{columns} -> {rows}: preparing")
        calls, packed = _contenders(asked.folder, rows, columns, asked.threads, asked.say, asked.labels)
        for state, before in (("cold", caches.evict), ("warm", None)):
            asked.say(f"{columns} -> {rows}: timing, {state}")
            timings = take_turns(calls, asked.rounds, before)
            timings |= take_turns(packed, asked.rounds, before) if packed else {}
            found += _rows(f"GEMV {columns} -> {rows} {state}", timings, asked.threads)
            if state == "cold" and asked.threads == 1 and not asked.labels:
                asked.say(f"{columns} -> {rows}: timing, in cache")
                found += _in_cache_rows(asked.folder, rows, columns, timings, asked.rounds)
    return found


def _contenders(
    folder: Path, rows: int, columns: int, threads: int, say: Callable[[str], None], labels: Sequence[str]
) -> tuple[dict[str, Callable[[], object]], dict[str, Callable[[], object]]]:
    """Calls by name: of the programs, and of the streaming reads of their bytes."""
    x = torch.randn(1, columns)
    calls: dict[str, Callable[[], object]] = {}
    packed: dict[str, Callable[[], object]] = {}
    for peer in (each for each in (FP32, INT8, INT4) if not labels or each in labels):
        say(f"  {peer}")
        calls[peer] = _call(peers.xnnpack_linear(folder, peer, rows, columns), x)
    if not labels:
        linear = torch.nn.Linear(columns, rows)
        calls["torch fp32"] = lambda: linear(x)
    for ours in (each for each in OURS if not labels or each.name in labels):
        say(f"  {ours.name}")
        path = peers.lookup_linear(
            folder, ours.bits, rows, columns, fast=ours.fast, kept=ours.kept, block=ours.block
        )
        calls[ours.name] = _call(path, x)
        if STREAM in ours.goals and (not labels or STREAM in labels):
            data = np.memmap(path, np.uint8, "r")  # as the runtime maps it
            packed[f"{ours.name} {STREAM}"] = partial(caches.read_bytes, data, threads)
    return calls, packed


def _call(path: Path, x: torch.Tensor) -> Callable[[], object]:
    run_program = peers.loaded(path)
    return lambda: run_program(x)


def _rows(prefix: str, timings: dict[str, Timing], threads: int) -> Iterator[Comparison]:
    for ours in (each for each in OURS if each.name in timings):
        name = ours.name
        for peer, goal in ({INT8: None, INT4: None} | ours.goals).items():
            key = f"{name} {STREAM}" if peer == STREAM else peer
            if key in timings:
                wanted = goal if "cold" in prefix and threads == 1 else None
                yield compare(f"{prefix}, {name}", timings[name], peer, timings[key], wanted, threads)
        if "torch fp32" in timings:
            yield compare(
                f"{prefix}, {name}", timings[name], "torch fp32", timings["torch fp32"], None, threads
            )


def _in_cache_rows(
    folder: Path, rows: int, columns: int, cold: dict[str, Timing], rounds: int
) -> Iterator[Comparison]:
    """For each dense layer with a streaming read in ``cold``: computing alone beside memory alone."""
    x = torch.randn(1, columns)
    dense = [ours for ours in OURS if STREAM in ours.goals and not ours.block]
    few = {ours.name: _rows_in_cache(ours.bits, columns) for ours in dense}
    calls = {}
    for ours in dense:
        for count in (few[ours.name], few[ours.name] // 2):
            path = peers.lookup_linear(folder, ours.bits, count, columns, fast=ours.fast)
            calls[f"{ours.name} {count}"] = _repeated(_call(path, x))
    timings = take_turns(calls, rounds)
    for name, count in few.items():
        # The difference of two sizes leaves out what a call costs however many rows there are.
        whole, half = timings[f"{name} {count}"], timings[f"{name} {count // 2}"]
        computing = (whole.median - half.median) / (count - count // 2) / _CALLS * rows
        memory, measured = cold[f"{name} {STREAM}"].median, cold[name].median
        what, bound = max(("computing", computing), ("memory", memory), key=lambda pair: pair[1])
        title = (
            f"GEMV {columns} -> {rows} in cache, {name} ({what} binds, cold is {measured / bound:.2f}x it)"
        )
        yield Comparison(title, computing, STREAM, memory, memory / computing, None, 1)


def _rows_in_cache(bits: int, columns: int) -> int:
    """Rows, in eights, whose packed bytes fill at most three quarters of the second cache."""
    return max(caches.l2_bytes() * 3 // 4 // (columns * bits // 8) // 8 * 8, 8)


def _repeated(call: Callable[[], object]) -> Callable[[], object]:
    return lambda: [call() for _ in range(_CALLS)]

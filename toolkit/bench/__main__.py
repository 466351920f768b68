"""`make bench`: our kernels beside their peers, in one run; writes out/bench/bench.json and bench.png.

What a model of phone cores says goes to out/bench/phone_cores.json and phone_tiles.json.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
from rich.console import Console

from bench import (
    caches,
    coding_time,
    gemv,
    loading,
    models,
    phone_model,
    phone_tiles,
    programs,
    roofline,
    searching,
    tokens,
)
from bench.asked import Asked
from bench.measured import text_table, write_measurement
from bench.plot import plot
from bench.rows import MS, Comparison, columns
from pocketvlad import machine
from pocketvlad.core import native
from pocketvlad.lut import contract

SUITES: dict[str, Callable[[Asked], list[Comparison]]] = {
    "gemv": gemv.run,
    "tokens": tokens.run,
    "models": models.run,
    "loading": loading.run,
    "roofline": roofline.run,
    "search": searching.run,
    "compress": coding_time.run,
    "phone_model": phone_model.run,
    "phone_tiles": phone_tiles.run,
}
FILES = {MS: "bench", phone_model.UNIT: "phone_cores", phone_tiles.UNIT: "phone_tiles"}
_WIDTH = 150


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    matplotlib.use("Agg")
    console = Console(stderr=True)
    found: list[Comparison] = []
    for name in options.suites or SUITES:
        for threads in options.threads:
            folder = options.out / f"programs-{contract.VERSION}"
            asked = Asked(folder, threads, options.rounds, console.log, options.models, options.contenders)
            found += SUITES[name](asked)
            write(options.out, found, options.rounds, arguments)
    for unit, file in FILES.items():
        rows = [row.cells() for row in found if row.unit == unit]
        if rows:
            title = f"{file}: {machine.cpu_name()}, {_measured(unit, options.rounds)}"
            Console(width=max(_WIDTH, Console().width)).print(text_table(title, columns(unit), rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("suites", nargs="*", choices=[[], *SUITES], help="all unless named")
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    parser.add_argument("--rounds", type=int, default=15)
    names = sorted(
        {name for model in models.MODELS for name in (model.backbone, model.name)} | gemv.SHAPES.keys()
    )
    parser.add_argument(
        "--models",
        nargs="+",
        choices=names,
        default=[],
        help="of the suites of models, or matrices of gemv; all unless named",
    )
    labels = [
        programs.FP32,
        programs.INT8,
        *programs.DYNAMIC,
        *programs.OURS,
        gemv.INT4,
        gemv.STREAM,
        *(ours.name for ours in gemv.OURS),
    ]
    parser.add_argument(
        "--contenders", nargs="+", choices=labels, default=[], help="of these suites; all unless named"
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    return parser


def write(out: Path, found: Sequence[Comparison], rounds: int, arguments: Sequence[str]) -> None:
    """The comparisons found so far: a file for each unit, and a picture of what was timed."""
    for unit, name in FILES.items():
        rows = [row.to_json() for row in found if row.unit == unit]
        if rows:
            data = _measured(unit, rounds)
            file = out / f"{name}.json"
            write_measurement(file, columns(unit), rows, data=data, module="bench", arguments=arguments)
    plot([row for row in found if row.unit == MS], out / "bench.png", f"{machine.cpu_name()}, {native.isa()}")


def _measured(unit: str, rounds: int) -> str:
    if unit != MS:
        return "inner loops in llvm-mca's tables of phone cores: a model, not a measurement"
    cache = f"{caches.l3_bytes() >> 20} MiB of last-level cache"
    return f"random weights and codes, median of {rounds} rounds; {native.isa()} kernels, {cache}"


if __name__ == "__main__":
    main(sys.argv[1:])

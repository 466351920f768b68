"""`make bench`: our kernels beside their peers, in one run; writes out/bench/bench.json and bench.png."""

from __future__ import annotations

import argparse
import logging
import sys
import time
import warnings
from pathlib import Path

import matplotlib
from matplotlib.ticker import FixedLocator, FormatStrFormatter
from rich.console import Console
from rich.table import Table

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
matplotlib.use("Agg")
sys.path.insert(0, str(Path(__file__).resolve().parent))

import fidelity  # noqa: E402
import gemv  # noqa: E402
import loading  # noqa: E402
import phone_model  # noqa: E402
from machine import machine  # noqa: E402
from rows import Row  # noqa: E402

import compress  # noqa: E402
import models  # noqa: E402
import search  # noqa: E402
from pocketvlad.artifact import write_json  # noqa: E402
from pocketvlad.lut import ops  # noqa: E402

SUITES = {
    "gemv": gemv.run,
    "models": models.run,
    "loading": loading.run,
    "search": search.run,
    "compress": compress.run,
    "phone_model": phone_model.run,
    "fidelity": fidelity.run,
}
_MET, _MISSED = "#4878a8", "#d07830"
SLOW = {"fidelity"}  # fits models for half an hour: by name only
TITLES = {
    "ms": "median of {rounds} rounds",
    phone_model.UNIT: "a model of phone cores, not a measurement",
    fidelity.UNIT: "mean of descriptors to float32's, ratio of 1 - cosine",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="toolkit/bench", description=__doc__)
    parser.add_argument("suites", nargs="*", choices=[[], *SUITES], help="all but fidelity unless named")
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    options = parser.parse_args()
    console = Console(stderr=True)
    found: list[Row] = []
    for name in options.suites or [suite for suite in SUITES if suite not in SLOW]:
        for threads in options.threads:
            programs = options.out / f"programs-{ops.VERSION}"
            found += SUITES[name](programs, threads, options.rounds, console.log)
            write(options.out, found, options.rounds)
    for unit in dict.fromkeys(row.unit for row in found):
        title = TITLES[unit].format(rounds=options.rounds)
        title = f"{_host()}, {title}" if unit == "ms" else f"{unit}: {title}"
        rows = [row for row in found if row.unit == unit]
        Console(width=max(150, Console().width)).print(table(rows, title, unit))


def write(out: Path, found: list[Row], rounds: int) -> None:
    """bench.json and bench.png of the rows found so far."""
    rows = [row.to_json() for row in found]
    report = {**machine(), "date": time.strftime("%Y-%m-%d"), "rounds": rounds, "rows": rows}
    write_json(out / "bench.json", report, force=True)
    plot([row for row in found if row.unit == "ms"], out / "bench.png", _host())


def _host() -> str:
    about = machine()
    return f"{about['cpu']}, {about['isa']}"


def table(rows: list[Row], title: str, unit: str) -> Table:
    view = Table(title=title)
    unit = "" if len(unit) > 8 else f" {unit}"
    for column in ("", f"ours{unit}", "peer", f"peer{unit}", "ratio", "goal", "threads"):
        words = column in ("", "peer")
        view.add_column(column, justify="left" if words else "right", no_wrap=words)
    for row in rows:
        colour = "" if row.goal is None else "green" if row.ratio >= row.goal else "red"
        ratio = f"[{colour}]{row.ratio:.2f}[/]" if colour else f"{row.ratio:.2f}"
        goal = "" if row.goal is None else f"{row.goal:g}"
        ours, theirs = (f"{value:.{row.digits}f}" for value in (row.ours, row.theirs))
        if row.spread is not None:
            ours += f" ({row.spread[0]:.2f}-{row.spread[1]:.2f})"
        view.add_row(row.name, ours, row.peer, theirs, ratio, goal, str(row.threads))
    return view


def plot(rows: list[Row], out: Path, title: str) -> None:
    """A bar per row that has a goal: how many times faster than the peer, the goal as a mark. Nothing without rows."""
    import matplotlib.pyplot as plt

    rows = [row for row in rows if row.goal is not None]
    if not rows:
        return
    figure, axes = plt.subplots(figsize=(11, 0.17 * len(rows) + 1.2))
    places = range(len(rows))
    colours = [_MET if row.ratio >= row.goal else _MISSED for row in rows]
    axes.barh(places, [row.ratio for row in rows], color=colours, height=0.7)
    axes.plot([row.goal for row in rows], places, "|", color="black", markersize=7)
    axes.axvline(1, color="black", linewidth=0.6)
    axes.set_yticks(places, [f"{row.name} / {row.peer}, {row.threads} thr" for row in rows], fontsize=6)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([0.5, 1, 2, 5, 10, 20, 50]))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xlabel("times faster than the peer; marks: goals, orange: missed", fontsize=8)
    axes.set_title(title, fontsize=8)
    figure.tight_layout()
    figure.savefig(out, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()

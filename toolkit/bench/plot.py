"""The picture of `make bench`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.ticker import FixedLocator, FormatStrFormatter

from bench.rows import Comparison

_MET, _MISSED = "#4878a8", "#d07830"


def plot(found: Sequence[Comparison], out: Path, title: str) -> None:
    """A bar per row that has a goal: how many times faster than the peer, the goal as a mark. Nothing without rows."""
    rows = [(row, row.goal) for row in found if row.goal is not None]
    if not rows:
        return
    figure, axes = plt.subplots(figsize=(11, 0.17 * len(rows) + 1.2))
    places = range(len(rows))
    colours = [_MET if row.met else _MISSED for row, _ in rows]
    axes.barh(places, [row.ratio for row, _ in rows], color=colours, height=0.7)
    axes.plot([goal for _, goal in rows], places, "|", color="black", markersize=7)
    axes.axvline(1, color="black", linewidth=0.6)
    axes.set_yticks(places, [f"{row.name} / {row.peer}, {row.threads} thr" for row, _ in rows], fontsize=6)
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

"""The plots of a run, for its report and as files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad.artifact import write_bytes
from pocketvlad.model.choice import Candidate, Choice
from pocketvlad.report.figures import Plot
from pocketvlad.report.labels import Box, place_labels
from pocketvlad.report.palette import AFTER, BEFORE, INK
from pocketvlad.report.summary import Histogram, ReportSummary, Thresholds, VariantRow

_WIDTH, _HEIGHT = 4.7, 3.1  # inches: readable on a phone, two side by side on a desktop
_SMALL = (3.4, 2.4)
_POINT = 8.0  # pixels around a point's centre
_FAR = 12.0  # pixels, from which a line leads from a point to its name
_CHANGED = {"strength": "strength", "dim": "dimensions", "views": "views per photo"}


def plots_of(summary: ReportSummary) -> tuple[Plot, ...]:
    """Every plot that the run has figures for."""
    found = [size_accuracy(summary.variants, summary.metric, summary.app.recipe)]
    if summary.thresholds is not None and summary.thresholds.known:
        found.append(threshold_curve(summary.thresholds))
    if summary.whitening is not None:
        found += whitening_curves(summary.whitening)
    return (*found, weight_histograms(summary.histograms))


def write_plots(summary: ReportSummary, folder: Path) -> None:
    """``NAME.svg`` and ``NAME.png`` of every plot; existing ones are replaced.

    Raises:
        ArtifactError: one cannot be written.
    """
    for plot in plots_of(summary):
        write_bytes(folder / f"{plot.name}.svg", plot.svg(), force=True)
        write_bytes(folder / f"{plot.name}.png", plot.png(), force=True)


def size_accuracy(variants: Sequence[VariantRow], metric: str, app: str = "") -> Plot:
    """The metric over the program's size (log scale): a point per variant, the app's filled.

    Whiskers are the 95% interval of the change, drawn around each compressed variant.
    """

    def draw(figure: Any) -> None:
        from matplotlib.ticker import LogLocator, NullFormatter

        axes, base = figure.add_subplot(), variants[0]
        axes.axhline(base.score, color=BEFORE, linewidth=0.9, linestyle=":")
        for row in variants:
            colour, x = BEFORE if row is base else AFTER, row.program_bytes / 1e6
            low, high = _whisker(row, base)
            axes.errorbar(x, row.score, [[row.score - low], [high - row.score]], color=colour, capsize=4)
            fill = colour if row.name == app or row is base else "none"
            axes.plot(x, row.score, "o", markersize=8, color=colour, markerfacecolor=fill)
        sizes = [row.program_bytes / 1e6 for row in variants]
        axes.set_xscale("log")
        axes.set_xlim(min(sizes) / 1.7, max(sizes) * 1.7)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(y=0.18)
        axes.autoscale_view()
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, -3.0), min(high, 103.0))
        axes.set(xlabel="program, MB (10⁶ bytes)", ylabel=metric)
        axes.grid(alpha=0.2)
        _name_points(axes, variants)

    return Plot("size-accuracy", "Size against accuracy", _WIDTH, _HEIGHT, draw)


def _whisker(row: VariantRow, base: VariantRow) -> tuple[float, float]:
    """Ends of the interval of the change, as scores from 0 to 100; the baseline's own has none."""
    if row is base:
        return row.score, row.score
    below, above = row.change.mean - row.change.low, row.change.high - row.change.mean
    return max(row.score - max(below, 0.0), 0.0), min(row.score + max(above, 0.0), 100.0)


def _name_points(axes: Any, variants: Sequence[VariantRow]) -> None:
    """Every variant's name beside its point, where it touches no other."""
    figure = axes.figure
    figure.draw_without_rendering()  # fixes where things lie, in pixels
    figure.set_layout_engine("none")
    renderer, to_pixels = figure.canvas.get_renderer(), axes.transData.transform
    points: list[Box] = []
    whiskers: list[Box] = []
    for row in variants:
        x, y = to_pixels((row.program_bytes / 1e6, row.score))
        low, high = (to_pixels((row.program_bytes / 1e6, end))[1] for end in _whisker(row, variants[0]))
        points.append((x - _POINT, y - _POINT, x + _POINT, y + _POINT))
        whiskers.append((x - _POINT / 2, low, x + _POINT / 2, high))
    texts = [figure.text(0, 0, row.name, ha="center", va="center") for row in variants]
    extents = [text.get_window_extent(renderer) for text in texts]
    bounds = axes.get_window_extent(renderer)
    inside = (bounds.x0, bounds.y0, bounds.x1, bounds.y1)
    boxes = place_labels(points, [(each.width, each.height) for each in extents], whiskers, inside)
    to_figure = figure.transFigure.inverted().transform
    for text, box, point in zip(texts, boxes, points, strict=True):
        text.set_position(to_figure(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)))
        _lead(axes, point, box, to_figure)


def _lead(axes: Any, point: Box, box: Box, to_figure: Any) -> None:
    """A thin line from a point to a name that had to go far."""
    nearest = [min(max((point[i] + point[i + 2]) / 2, box[i]), box[i + 2]) for i in (0, 1)]
    centre = [(point[i] + point[i + 2]) / 2 for i in (0, 1)]
    if np.hypot(nearest[0] - centre[0], nearest[1] - centre[1]) < _POINT + _FAR:
        return
    ends = to_figure([centre, nearest])
    fraction = axes.figure.transFigure
    axes.plot(*ends.T, transform=fraction, color=INK, linewidth=0.6, alpha=0.6, scalex=False, scaley=False)


def threshold_curve(found: Thresholds) -> Plot:
    """The share of photos that an index accepts over the threshold: known and unknown places, visitors dashed."""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        lines = (
            (found.known, AFTER, "-", "known place"),
            (found.visitors, AFTER, "--", "known place, visitors"),
            (found.unknown, BEFORE, "-", "unknown place"),
            (found.strangers, BEFORE, "--", "unknown place, visitors"),
        )
        shown = np.concatenate([cosines for cosines, *_ in lines if cosines])
        low, high = max(-1.0, float(shown.min()) - 0.03), min(1.0, float(shown.max()) + 0.03)
        for cosines, colour, style, label in lines:
            if cosines:
                steps, shares = accepted(cosines, low, high)
                axes.plot(steps, 100 * shares, style, color=colour, drawstyle="steps-pre", label=label)
        if found.chosen is not None:
            axes.axvline(found.chosen, color=INK, linewidth=1.2, linestyle=":")
            axes.annotate(
                f" {found.chosen:.3f}", (found.chosen, 0.5), xycoords=("data", "axes fraction"), va="center"
            )
        axes.set(xlabel="threshold (cosine)", ylabel="% of photos accepted", xlim=(low, high), ylim=(-3, 103))
        axes.grid(alpha=0.2)
        figure.legend(loc="outside upper center", ncols=2, columnspacing=1.2, handlelength=1.8)

    return Plot("threshold", "Photos accepted over the threshold", _WIDTH, _HEIGHT, draw)


def accepted(cosines: Sequence[float], low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds and the share of ``cosines`` at or over each, from ``low`` to ``high``; both float64 [n + 2]."""
    ordered = np.sort(np.asarray(cosines, np.float64))
    steps = np.concatenate([[low], ordered, [high]])
    return steps, 1 - np.searchsorted(ordered, steps, side="left") / len(ordered)


def whitening_curves(choice: Choice) -> list[Plot]:
    """mAP on held-out places over each thing that was free, the chosen whitening filled."""
    plots = []
    for attribute, label in _CHANGED.items():
        line = curve_over(choice, attribute)
        if len(line) > 1:
            plots.append(_whitening_plot(choice, attribute, label, line))
    return plots


def curve_over(choice: Choice, attribute: str) -> list[Candidate]:
    """The measured candidates that differ from the chosen one in nothing else, in order."""
    others = [name for name in _CHANGED if name != attribute]
    same = [
        each
        for each in choice.curve
        if each.dim is not None
        and each.score is not None
        and all(getattr(each, name) == getattr(choice.chosen, name) for name in others)
    ]
    return sorted(same, key=lambda each: getattr(each, attribute))


def _whitening_plot(choice: Choice, attribute: str, label: str, line: Sequence[Candidate]) -> Plot:
    plain = next((each.score for each in choice.curve if each.dim is None), None)

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        xs, ys = [getattr(each, attribute) for each in line], [100 * (each.score or 0) for each in line]
        axes.plot(xs, ys, "o-", color=AFTER, markersize=5, markerfacecolor="none", linewidth=1.2)
        chosen = next((at for at, each in enumerate(line) if each == choice.chosen), None)
        if chosen is not None:
            axes.plot(xs[chosen], ys[chosen], "o", color=AFTER, markersize=9)
        if plain is not None:
            axes.axhline(100 * plain, color=BEFORE, linewidth=1, linestyle=":")
            axes.annotate(
                "no whitening", (0.02, 100 * plain), (0, 2), xycoords=("axes fraction", "data"),
                textcoords="offset points", va="bottom", fontsize=8,
            )  # fmt: skip
        axes.margins(y=0.15)
        axes.set(xlabel=label, ylabel="mAP, held out")
        axes.grid(alpha=0.2)

    title = f"mAP on held-out places over the whitening's {label}"
    return Plot(f"whitening-{label.split()[0]}", title, *_SMALL, draw)


def weight_histograms(histograms: Sequence[Histogram]) -> Plot:
    """Weights per layer before and after compression or L1, on a log count axis."""

    def draw(figure: Any) -> None:
        grid = figure.subplots(1, len(histograms), squeeze=False)[0]
        for axes, histogram in zip(grid, histograms, strict=True):
            for counts, colour, label in (
                (histogram.before, BEFORE, "before"),
                (histogram.after, AFTER, "after"),
            ):
                axes.stairs(counts, histogram.edges, color=colour, fill=True, alpha=0.3, label=label)
                axes.stairs(counts, histogram.edges, color=colour, linewidth=1)
            axes.set_yscale("symlog", linthresh=1)
            axes.set_title(histogram.layer, fontsize=9.5)
            axes.set_xlabel("weight")
        grid[0].set_ylabel("weights in bin")
        grid[0].legend()

    return Plot("weights", "Weights before and after", max(_WIDTH, 3.0 * len(histograms)), 2.6, draw)

"""Plots as SVG that takes the page's text colour, and a picture of matches as PNG."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageOps

from pocketvlad.report.summary import Histogram, MatchRow, VariantRow

_INK = "#010203"  # stands for the page's own text colour until the SVG is written
BEFORE, AFTER, RIGHT, WRONG = "#d97a2b", "#2f7ed8", "#2a9d5c", "#d0453c"
_THUMBNAIL = (240, 180)


def _draw(width: float, height: float, draw: Callable[[Any], None]) -> bytes:
    """An SVG without background, its texts as text, its ink ``currentColor``; sizes in inches."""
    import matplotlib
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "pocketvlad",
        "font.size": 10,
        "text.color": _INK,
        "axes.edgecolor": _INK,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_a_page(buffer.getvalue().decode())


def _for_a_page(svg: str) -> bytes:
    """Only the ``svg`` element, fluid, in the page's colour and font."""
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font: (\d+(?:\.\d+)?)px [^;\"]*", r"font-size: \1px; font-family: inherit", svg)
    svg = re.sub(r' width="[\d.]+pt"', "", re.sub(r' height="[\d.]+pt"', "", svg, count=1), count=1)
    return svg.encode()


def size_accuracy_plot(variants: Sequence[VariantRow], metric: str, app: str = "") -> bytes:
    """The metric over the program's size (log scale) as SVG: a point per variant, the app's filled.

    Whiskers are the 95% interval of the change, drawn around each compressed variant.
    """

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        base = variants[0]
        for row in variants:
            colour = BEFORE if row is base else AFTER
            x, fill = row.program_bytes / 1e6, colour if row.name == app or row is base else "none"
            top = row.score
            if row is not base:
                below, above = row.change.mean - row.change.low, row.change.high - row.change.mean
                whiskers, top = [[below], [above]], row.score + above
                axes.errorbar(x, row.score, yerr=whiskers, color=colour, capsize=4, linewidth=1.2, zorder=2)
            axes.plot(x, row.score, "o", markersize=9, color=colour, markerfacecolor=fill, zorder=3)
            # above the whisker, where the names of neighbours seldom meet
            axes.annotate(row.name, (x, top), (0, 7), textcoords="offset points", fontsize=9, ha="center")
        axes.margins(y=0.15)
        axes.axhline(base.score, color=BEFORE, linewidth=0.8, linestyle=":")
        from matplotlib.ticker import LogLocator, NullFormatter

        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        sizes = [row.program_bytes / 1e6 for row in variants]
        axes.set_xlim(min(sizes) / 1.6, max(sizes) * 2.4)
        axes.set_xlabel("program, MB (10⁶ bytes)")
        axes.set_ylabel(metric)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.grid(alpha=0.2)

    return _draw(6.4, 3.6, draw)


def weight_histograms(histograms: Sequence[Histogram]) -> bytes:
    """Weights per layer before and after compression or L1, on a log count axis, as SVG."""

    def draw(figure: Any) -> None:
        grid = figure.subplots(1, len(histograms), squeeze=False)[0]
        for axes, histogram in zip(grid, histograms, strict=True):
            for counts, colour, label in (
                (histogram.before, BEFORE, "before"),
                (histogram.after, AFTER, "after"),
            ):
                axes.stairs(counts, histogram.edges, color=colour, fill=True, alpha=0.35, label=label)
                axes.stairs(counts, histogram.edges, color=colour, linewidth=1)
            axes.set_yscale("symlog", linthresh=1)
            axes.set_title(histogram.layer, fontsize=10)
            axes.set_xlabel("weight")
        grid[0].set_ylabel("weights in bin")
        grid[0].legend(frameon=False, fontsize=9)

    return _draw(max(6.4, 3.0 * len(histograms)), 2.8, draw)


def thumbnail(path: str | Path, size: tuple[int, int] = _THUMBNAIL) -> Image.Image:
    """A photo cut to ``size``, its EXIF rotation applied; a grey card where the file is gone."""
    try:
        with Image.open(path) as photo:
            return ImageOps.fit(ImageOps.exif_transpose(photo).convert("RGB"), size)
    except OSError:
        card = Image.new("RGB", size, (128, 128, 128))
        ImageDraw.Draw(card).text((8, 8), f"{Path(path).name}\nis no longer there", fill="white")
        return card


def qualitative_rows(rows: Sequence[MatchRow], after: str = "compressed") -> bytes:
    """Three lines of photos as PNG, as the paper's figure: ground truth, uncompressed, compressed.

    A column per query, the query itself on top; frames are green where the match is right.
    """
    width, height = _THUMBNAIL
    left, top, gap = 150, 8, 8
    lines = ("query", "ground truth", "uncompressed", after)
    page = Image.new("RGB", (left + len(rows) * (width + gap), top + 4 * (height + gap)), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(17)
    for line, label in enumerate(lines):
        draw.text(
            (12, top + line * (height + gap) + height // 2), label, fill="black", font=font, anchor="lm"
        )
    for column, row in enumerate(rows):
        x = left + column * (width + gap)
        pictures = (
            (row.query, None),
            (row.truth, None),
            (row.before.photo, row.before),
            (row.after.photo, row.after),
        )
        for line, (photo, match) in enumerate(pictures):
            y = top + line * (height + gap)
            page.paste(thumbnail(photo), (x, y))
            if match is not None:
                colour = RIGHT if match.right else WRONG
                draw.rectangle((x, y, x + width - 1, y + height - 1), outline=colour, width=6)
                draw.rectangle((x, y + height - 26, x + 74, y + height - 1), fill=colour)
                draw.text((x + 8, y + height - 24), f"{match.cosine:.3f}", fill="white", font=font)
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()

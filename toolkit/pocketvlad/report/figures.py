"""A plot as an SVG for a page, as an SVG file and as PNG; and a picture of matches as PNG."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageOps

from pocketvlad.model.preprocess import DAMAGED, FORMATS
from pocketvlad.report.palette import INK, PAPER, RIGHT, VARIABLES, WRONG
from pocketvlad.report.summary import MatchRow

_PNG_DPI = 200
_THUMBNAIL = (240, 180)


@dataclass(frozen=True, eq=False)
class Plot:
    """One plot.

    Attributes:
        name: of its files, and of its ids in a page.
        title: what it shows, for readers who do not see it.
        width, height: inches of 72 points; its texts are about 9 points.
        draw: draws it into an empty matplotlib figure.
    """

    name: str
    title: str
    width: float
    height: float
    draw: Callable[[Any], None]

    def inline(self) -> str:
        """The ``svg`` element for a page: fluid, in the page's own colours and font."""
        svg = self._saved("svg", transparent=True).decode()
        svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
        svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1; font-family: inherit", svg)
        svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
        svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
        svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{self.name}-", svg)
        svg = svg.replace(INK, "currentColor")
        for variable, colour in VARIABLES.items():
            svg = svg.replace(colour, f"var(--{variable})")
        label = f"<title>{self.title}</title>"
        return svg.replace("<svg ", '<svg role="img" ', 1).replace(">", f">{label}", 1)

    def svg(self) -> bytes:
        """A file of its own."""
        return self._saved("svg", facecolor=PAPER)

    def png(self) -> bytes:
        """A file of its own."""
        return self._saved("png", facecolor=PAPER, dpi=_PNG_DPI)

    def _saved(self, kind: str, **options: Any) -> bytes:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        metadata: dict[str, None] = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
        with matplotlib.rc_context(_STYLE):
            figure = Figure(figsize=(self.width, self.height), layout="constrained")
            FigureCanvasAgg(figure)  # measures texts
            self.draw(figure)
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, metadata=metadata, **options)
        return buffer.getvalue()


_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "pocketvlad",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def thumbnail(path: str | Path, size: tuple[int, int] = _THUMBNAIL) -> Image.Image:
    """A photo cut to ``size``, its EXIF rotation applied; a grey card where the file is gone."""
    try:
        with Image.open(path, formats=FORMATS) as photo:
            return ImageOps.fit(ImageOps.exif_transpose(photo).convert("RGB"), size)
    except (OSError, *DAMAGED):
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

"""Queries with what the uncompressed and the app's model rank first, photos inside the page."""

from __future__ import annotations

import base64
import io

from pocketvlad.report import figures, units
from pocketvlad.report.parts import escape, section
from pocketvlad.report.summary import Match, MatchRow, ReportSummary

_QUALITY = 72  # of the embedded JPEGs


def match_section(summary: ReportSummary) -> str:
    """One line of four photos per query; green frames are right, red ones wrong."""
    heads = ("query", "ground truth", summary.before.name, summary.after.name)
    grid = "".join(f'<div class="head">{escape(head)}</div>' for head in heads)
    grid += "".join(_row(row, heads) for row in summary.matches)
    return section(
        "What it sees",
        f'<div class="matches">{grid}</div>',
        "Queries picked at even distances, not by hand. A green frame is the right place, a red one another; "
        "the number is the cosine.",
    )


def _row(row: MatchRow, heads: tuple[str, ...]) -> str:
    name = f'<div class="name">{escape(row.place or "")}</div>'
    query = _figure(row.query, "", escape(heads[0]))
    truth = _figure(row.truth, "", escape(heads[1]))
    return name + query + truth + _match(row.before, heads[2]) + _match(row.after, heads[3])


def _match(match: Match, model: str) -> str:
    verdict = "right" if match.right else "wrong"
    caption = f"{escape(model)} · <b>{verdict}</b> · {units.cosine(match.cosine)}"
    return _figure(match.photo, verdict, caption)


def _figure(photo: str, kind: str, caption: str) -> str:
    buffer = io.BytesIO()
    figures.thumbnail(photo).save(buffer, "JPEG", quality=_QUALITY)
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<figure class="{kind}"><img alt="" src="data:image/jpeg;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )

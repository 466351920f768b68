"""Queries with what the uncompressed and the app's model rank first, photos inside the page."""

from __future__ import annotations

import base64
import io
from itertools import groupby

from pocketvlad.report import figures, units
from pocketvlad.report.parts import cell, escape, section, table
from pocketvlad.report.summary import Match, MatchRow, ReportSummary

_QUALITY = 72  # of the embedded JPEGs
_GROUPS = {  # titles of what compression did to the first answer
    "lost": "Lost: right before, wrong now",
    "gained": "Gained: wrong before, right now",
    "alike": "Alike before and now, queries at even distances",
}


def match_section(summary: ReportSummary) -> str:
    """A line of four photos per query, what compression lost first; every query's change below."""
    heads = ("query", "ground truth", summary.before.name, summary.after.name)
    grid = "".join(f'<div class="head">{escape(head)}</div>' for head in heads)
    for title, rows in groupby(summary.matches, key=_group):
        grid += f'<h3 class="name">{escape(title)}</h3>' + "".join(_row(row, heads, summary) for row in rows)
    return section(
        "What compression lost and gained",
        f'{_counts(summary)}<div class="matches">{grid}</div>{_changes(summary)}',
        "The first answer of both models. A solid green frame (✓) is the right place, a dashed red one (✗) another; "
        "the number is the cosine.",
    )


def _group(row: MatchRow) -> str:
    return _GROUPS.get(row.verdict, _GROUPS["alike"])


def _counts(summary: ReportSummary) -> str:
    found = summary.verdicts
    if found is None:
        return ""
    right, wrong = found.lost + found.right, found.gained + found.wrong
    others = f" and gained <b>{found.gained}</b> of the other {wrong}" if wrong else ""
    return (
        f"<p>Of {right + wrong} queries the uncompressed model answers {right} rightly. Compression lost "
        f"<b>{found.lost}</b> of these{others}.</p>"
    )


def _changes(summary: ReportSummary) -> str:
    if not summary.queries:
        return ""
    rows = [
        [
            cell(row.query),
            cell(f"{row.before:.1f}"),
            cell(f"{row.after:.1f}"),
            cell(units.signed(row.after - row.before)),
        ]
        for row in summary.queries
    ]
    name = "AP" if summary.metric == "mAP" else summary.metric
    head = ("query", f"{name} {summary.before.name}", f"{name} {summary.after.name}", "change")
    title = f"{len(rows)} queries whose own {name} changed, what lost most first"
    return f"<details><summary>{escape(title)}</summary>{table(head, rows)}</details>"


def _row(row: MatchRow, heads: tuple[str, ...], summary: ReportSummary) -> str:
    change = f" · AP {units.signed(row.change)}" if summary.metric == "mAP" else ""
    name = f'<div class="name">{escape(row.place or "")}{change}</div>'
    query = _figure(row.query, "", escape(heads[0]))
    truth = _figure(row.truth, "", escape(heads[1]))
    return name + query + truth + _match(row.before, heads[2]) + _match(row.after, heads[3])


def _match(match: Match, model: str) -> str:
    verdict, mark = ("right", "✓") if match.right else ("wrong", "✗")
    caption = f"{escape(model)} · <b>{mark} {verdict}</b> · {units.cosine(match.cosine)}"
    return _figure(match.photo, verdict, caption)


def _figure(photo: str, kind: str, caption: str) -> str:
    buffer = io.BytesIO()
    figures.thumbnail(photo).save(buffer, "JPEG", quality=_QUALITY)
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<figure class="{kind}"><img alt="" src="data:image/jpeg;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )

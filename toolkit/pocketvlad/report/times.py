"""Where the time goes: of one photo by op and layer, of the run by stage."""

from __future__ import annotations

from pocketvlad.report import units
from pocketvlad.report.parts import bar, cell, escape, section, table
from pocketvlad.report.summary import ReportSummary

_SLOWEST = 10  # layers that are shown at once


def time_section(summary: ReportSummary) -> str:
    """Tables with bars: stages of the run, ops and layers of the app's program."""
    body = _ops(summary) + _layers(summary) + _stages(summary)
    return section(
        "Where the time goes",
        body,
        f"One photo through {summary.after.name} on this host, one thread, as ExecuTorch's event trace (ETDump) has "
        "it; tracing takes time of its own.",
    )


def _ops(summary: ReportSummary) -> str:
    rows = [
        [
            cell(row.op),
            cell(row.by, "text"),
            cell(str(row.calls)),
            cell(units.milliseconds(row.ms)),
            cell(units.percent(row.share)),
            bar(row.share),
        ]
        for row in summary.ops
    ]
    return "<h3>By op</h3>" + table(("op", "kernel of", "calls", "time", "share", ""), rows)


def _layers(summary: ReportSummary) -> str:
    if not summary.layer_times:
        return ""
    largest = max(row.share for row in summary.layer_times) or 1.0
    slowest = sorted(summary.layer_times, key=lambda row: -row.ms)[:_SLOWEST]
    rows = [
        [
            cell(row.layer, "name"),
            cell(row.op, "text"),
            cell(units.milliseconds(row.ms)),
            cell(units.percent(row.share)),
            bar(row.share / largest),
        ]
        for row in slowest
    ]
    count = len(summary.layer_times)
    title = f"By layer: the slowest {len(rows)} of {count}" if count > len(rows) else "By layer"
    return f"<h3>{title}</h3>" + table(("layer", "op", "time", "share", ""), rows)


def _stages(summary: ReportSummary) -> str:
    total = sum(row.seconds for row in summary.stages)
    if not total:
        return ""
    rows = [
        [
            cell(row.stage),
            cell(units.seconds(row.seconds)),
            cell(units.percent(row.seconds / total)),
            bar(row.seconds / total),
        ]
        for row in summary.stages
    ]
    title = f"This run, by stage: {units.seconds(total)} in all"
    return (
        f"<details><summary>{escape(title)}</summary>{table(('stage', 'time', 'share', ''), rows)}</details>"
    )

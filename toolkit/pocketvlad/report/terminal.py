"""The table a run ends with."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from pocketvlad.errors import printable
from pocketvlad.report import units
from pocketvlad.report.headline import headline
from pocketvlad.report.rows import Rows
from pocketvlad.report.summary import ReportSummary, VariantRow


def terminal_summary(summary: ReportSummary) -> RenderableType:
    """What was found in a sentence and in a table, where the APK is and how to install it."""
    lines = _lines(summary)
    return Group(
        "", Text(printable(headline(summary))), "", _table(summary), "", _caption(summary), "", *lines, ""
    )


def _table(summary: ReportSummary) -> Rows:
    head = ("", "size", "ratio", summary.metric, "change", "a photo", "first")
    rows = [_cells(row, summary) for row in summary.variants]
    chosen = [at for at, row in enumerate(summary.variants) if row is summary.after]
    return Rows(printable(summary.title), head, rows, range(1, len(head)), chosen)


def _caption(summary: ReportSummary) -> Text:
    data = summary.data
    return Text(
        f"{data.queries} queries on {units.photos(data.test_photos, data.test_places)}; {summary.metric} and size "
        "of the .pte itself, 95% interval of the change; times on this host, first: from opening the file to its "
        "first answer",
        style="dim",
    )


def _cells(row: VariantRow, summary: ReportSummary) -> list[Text]:
    base, found = row is summary.before, row.change
    mark = ("▸ ", "green") if row is summary.after else "  "
    colour = "green" if found.low >= -2 else "yellow" if found.mean >= -2 else "red"
    change = Text.assemble((units.signed(found.mean), colour), f" ({units.spread(found.low, found.high)})")
    return [
        Text.assemble(mark, printable(row.name)),
        Text(units.size(row.program_bytes)),
        Text() if base else Text(units.ratio(row.ratio), style="green"),
        Text(f"{row.score:.1f}"),
        Text() if base else change,
        Text(units.milliseconds(row.latency.median_ms)),
        Text(units.milliseconds(row.latency.first_ms)),
    ]


def _lines(summary: ReportSummary) -> list[Text]:
    app = summary.app
    lines = []
    if app.visitors:
        known = f"right place for {app.recognised} of {app.visitors} photos not in the index"
        if summary.thresholds is not None and summary.thresholds.chosen is not None:
            known += f", {summary.thresholds.named} of them named"
        lines.append(_line("app", known))
    for result in summary.emulated:
        verdict = "passed" if result.get("passed") else "FAILED"
        lines.append(_line("emulated", f"arm64 self-test {verdict} on {result['machine']}"))
    lines.append(_line("APK", f"{app.apk} ({units.size(app.apk_bytes)})"))
    lines.append(_line("install", app.install))
    if summary.report:
        lines.append(_line("report", summary.report))
    return lines


def _line(label: str, value: str) -> Text:
    return Text.assemble((f"{label:>10}  ", "dim"), printable(value), no_wrap=True, overflow="ignore")

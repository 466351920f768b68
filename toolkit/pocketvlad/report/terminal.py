"""The table a run ends with."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pocketvlad.report import units
from pocketvlad.report.headline import headline
from pocketvlad.report.summary import ReportSummary, VariantRow

_NAME_WIDTH = 13  # fits the shipped recipes' names, and the table 80 columns


def terminal_summary(summary: ReportSummary) -> RenderableType:
    """What was found in a sentence and in a table, where the APK is and how to install it."""
    lines = (Padding(line, (0, 1)) for line in _lines(summary))
    return Group("", Text(headline(summary)), "", _table(summary), *lines, "")


def _table(summary: ReportSummary) -> Table:
    data = summary.data
    caption = (
        f"{data.queries} queries on {units.photos(data.test_photos, data.test_places)}; {summary.metric} and size "
        "of the .pte itself, 95% interval of the change; times on this host, first: from opening the file to its "
        "first answer"
    )
    table = Table(
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        title=Text(summary.title, style="bold"),
        caption=caption,
        title_justify="left",
    )
    table.caption_justify = "left"
    table.add_column("", no_wrap=True, min_width=_NAME_WIDTH)
    for name in ("size", "ratio", summary.metric, "change", "a photo", "first"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in summary.variants:
        table.add_row(*_cells(row, summary), style="bold" if row is summary.after else "")
    return table


def _cells(row: VariantRow, summary: ReportSummary) -> list[str]:
    base, found = row is summary.before, row.change
    mark = "[green]▸[/] " if row is summary.after else "  "
    colour = "green" if found.low >= -2 else "yellow" if found.mean >= -2 else "red"
    change = f"[{colour}]{units.signed(found.mean)}[/] ({units.spread(found.low, found.high)})"
    return [
        mark + escape(row.name),
        units.size(row.program_bytes),
        "" if base else f"[green]{units.ratio(row.ratio)}[/]",
        f"{row.score:.1f}",
        "" if base else change,
        units.milliseconds(row.latency.median_ms),
        units.milliseconds(row.latency.first_ms),
    ]


def _lines(summary: ReportSummary) -> list[Text]:
    app = summary.app
    lines = []
    if app.visitors:
        known = (
            f"the best match is right for {app.recognised} of {app.visitors} photos from outside the index"
        )
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
    return Text.assemble((f"{label:>9}  ", "dim"), value)

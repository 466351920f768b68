"""The paper's table beside ours: as Markdown for a file, as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pocketvlad.evaluate.metrics import metric_name
from pocketvlad.report import units

Values = Mapping[str, Any]
_PAPER = ("zeros", "drop O/P", "MB", "ratio")
_OURS = ("zeros", "drop (95%)", "codes", ".pte", "ratio")


def markdown(values: Values) -> str:
    """``table.md``: one table per direction, with what the figures mean below."""
    parts = ["# The paper's table, reproduced", _heading(values)]
    for way in values["ways"]:
        head = ["setting", *(f"paper {name}" for name in _PAPER), *(f"ours {name}" for name in _OURS)]
        lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        lines += [f"| {' | '.join(cells)} |" for cells in _rows(values, way)]
        parts += [f"## {_title(way)}", "\n".join(lines)]
    parts.append("\n".join(f"- {note}" for note in _notes(values)))
    return "\n\n".join(parts) + "\n"


def terminal_table(values: Values) -> RenderableType:
    """The same for a terminal, about 80 columns wide."""
    shown: list[RenderableType] = [Text(_heading(values), style="bold")]
    for way in values["ways"]:
        table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
        table.add_column("\nsetting", no_wrap=True)
        for name in _PAPER:
            table.add_column(f"paper\n{name}", justify="right", no_wrap=True, style="dim")
        for name in _OURS:
            table.add_column(f"ours\n{name}", justify="right", no_wrap=True)
        for cells in _rows(values, way):
            table.add_row(*map(escape, cells))
        shown += ["", Text(_title(way)), table]
    shown += ["", *(Text(f"· {note}", style="dim") for note in _notes(values))]
    shown += [Text(path) for path in values["files"]]
    return Group(*shown)


def _heading(values: Values) -> str:
    paper = values["paper"]
    return f"{values['backbone']} beside the paper's {paper['network']} ({paper['base_mb']} MB)"


def _title(way: Values) -> str:
    score = f"{metric_name(way['metric'])} {way['score']:.1f}"
    sizes = f"weights {units.size(way['weights_bytes'])}, .pte {units.size(way['program_bytes'])}"
    return f"{way['train']} → {way['test']}: uncompressed {score} on {way['queries']} queries, {sizes}"


def _rows(values: Values, way: Values) -> list[list[str]]:
    return [_cells(values["paper"]["base_mb"], way, row) for row in way["rows"]]


def _cells(base_mb: float, way: Values, row: Values) -> list[str]:
    paper, drop = row["paper"], row["drop"]
    mean, low, high = (units.plain(drop[key]) for key in ("mean", "low", "high"))
    return [
        f"{paper['bits']}b {paper['threshold']:g}",
        f"{paper['pruned']:.1f}%",
        f"{paper['oxford']:g}/{paper['paris']:g}",
        f"{paper['mb']:.1f}",
        units.ratio(base_mb / paper["mb"]),
        f"{row['pruned']:.1f}%",
        f"{mean} ({low}, {high})",
        f"{row['codes_bytes'] / 1e6:.2f}",
        f"{row['program_bytes'] / 1e6:.2f}",
        units.ratio(way["program_bytes"] / row["program_bytes"]),
    ]


def _notes(values: Values) -> list[str]:
    """What a reader must know to compare the columns."""
    steps, match = int(values["options"]["steps"]), values["options"]["match"]
    tuned = f"fine-tuned for {steps} steps of triplet loss" if steps else "not fine-tuned (--steps 0)"
    weights = "the paper's thresholds" if match == "thresholds" else "the paper's share of each layer pruned"
    metrics = " and ".join(dict.fromkeys(metric_name(way["metric"]) for way in values["ways"]))
    notes = [
        f"{weights}; {tuned}",
        f"drop: points of {metrics} lost by the .pte on the test photos, "
        "with the 95% interval of a paired bootstrap over the queries; the paper's: Oxford / Paris",
        "zeros: share of the weights that are 0; codes: MB of masks and codes, as the paper counts; "
        ".pte: MB of the whole file; ratio: to the uncompressed model's weights (paper) and .pte (ours)",
    ]
    if values["backbone"] not in ("alexnet", "vgg16"):
        notes.append(f"the paper has no {values['backbone']}: its AlexNet stands beside")
    if not steps:
        notes.append("weight histograms before and after L1 left out: they need --steps above 0")
    return notes

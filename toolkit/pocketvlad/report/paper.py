"""The paper's table beside ours: as Markdown for a file, as a table for a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pocketvlad.report import units
from pocketvlad.report.reproduction import DirectionResult, Reproduction, Row

_PAPER = ("zeros", "drop O/P", "MB", "ratio")
_OURS = ("zeros", "drop (95%)", "codes", ".pte", "ratio")


def markdown(found: Reproduction) -> str:
    """``table.md``: one table per direction, with what the figures mean below."""
    parts = ["# The paper's table, reproduced", _heading(found)]
    for direction in found.directions:
        head = ["setting", *(f"paper {name}" for name in _PAPER), *(f"ours {name}" for name in _OURS)]
        lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        lines += [f"| {' | '.join(cells)} |" for cells in _rows(found, direction)]
        parts += [f"## {_title(direction)}", "\n".join(lines)]
    parts.append("\n".join(f"- {note}" for note in _notes(found)))
    return "\n\n".join(parts) + "\n"


def terminal_table(found: Reproduction) -> RenderableType:
    """The same for a terminal, about 80 columns wide."""
    shown: list[RenderableType] = [Text(_heading(found), style="bold")]
    for direction in found.directions:
        table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
        table.add_column("\nsetting", no_wrap=True)
        for name in _PAPER:
            table.add_column(f"paper\n{name}", justify="right", no_wrap=True, style="dim")
        for name in _OURS:
            table.add_column(f"ours\n{name}", justify="right", no_wrap=True)
        for cells in _rows(found, direction):
            table.add_row(*map(escape, cells))
        shown += ["", Text(_title(direction)), table]
    shown += ["", *(Text(f"· {note}", style="dim") for note in _notes(found))]
    shown += [Text(path) for path in found.files]
    return Group(*shown)


def _heading(found: Reproduction) -> str:
    paper = found.paper
    return f"{found.backbone} beside the paper's {paper.network} ({paper.base_mb} MB)"


def _title(direction: DirectionResult) -> str:
    score = f"{direction.metric} {direction.score:.1f}"
    sizes = f"weights {units.size(direction.weights_bytes)}, .pte {units.size(direction.program_bytes)}"
    return (
        f"{direction.train} → {direction.test}: uncompressed {score} on {direction.queries} queries, {sizes}"
    )


def _rows(found: Reproduction, direction: DirectionResult) -> list[list[str]]:
    return [_cells(found.paper.base_mb, direction, row) for row in direction.rows]


def _cells(base_mb: float, direction: DirectionResult, row: Row) -> list[str]:
    paper, drop = row.paper, row.drop
    mean, low, high = (units.plain(value) for value in (drop.mean, drop.low, drop.high))
    return [
        f"{paper.bits}b {paper.threshold:g}",
        f"{paper.pruned:.1f}%",
        f"{paper.oxford:g}/{paper.paris:g}",
        f"{paper.mb:.1f}",
        units.ratio(base_mb / paper.mb),
        f"{row.counted.pruned:.1f}%",
        f"{mean} ({low}, {high})",
        f"{row.counted.codes_bytes / 1e6:.2f}",
        f"{row.program_bytes / 1e6:.2f}",
        units.ratio(direction.program_bytes / row.program_bytes),
    ]


def _notes(found: Reproduction) -> list[str]:
    """What a reader must know to compare the columns."""
    steps, match = found.steps, found.match
    tuned = f"fine-tuned for {steps} steps of triplet loss" if steps else "not fine-tuned"
    weights = "the paper's thresholds" if match == "thresholds" else "the paper's share of each layer pruned"
    metrics = " and ".join(dict.fromkeys(direction.metric for direction in found.directions))
    notes = [
        f"{weights}; {tuned}",
        f"drop: points of {metrics} lost by the .pte on the test photos, "
        "with the 95% interval of a paired bootstrap over the queries; the paper's: Oxford / Paris",
        "zeros: share of the weights that are 0; codes: MB of masks and codes, as the paper counts; "
        ".pte: MB of the whole file; ratio: to the uncompressed model's weights (paper) and .pte (ours)",
    ]
    if found.backbone not in ("alexnet", "vgg16"):
        notes.append(f"the paper has no {found.backbone}: its AlexNet stands beside")
    if not steps:
        notes.append("weight histograms before and after L1 left out: they need fine-tuning steps")
    return notes

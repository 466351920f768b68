"""Where the bytes of each recipe go, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

from pocketvlad.compress.sizes import LayerSize
from pocketvlad.report import units
from pocketvlad.report.palette import PARTS
from pocketvlad.report.parts import cell, escape, section, table
from pocketvlad.report.summary import ReportSummary

_LARGEST = 10  # layers that are shown at once
_HEAD = ("layer", "bytes", "", "smaller", "weights", "bits", "layout", "pruned", "bits/weight", "entropy")


def layer_section(summary: ReportSummary) -> str:
    """The largest layers of the app's model; a table of every layer per recipe, folded."""
    legend = "".join(f'<span><i class="{part}"></i>{part}</span>' for part in PARTS)
    body = f'<div class="legend">{legend}</div>'
    shown = sorted(summary.layers.get(summary.after.name, ()), key=lambda row: -row.total)[:_LARGEST]
    if shown:
        body += f"<h3>{escape(summary.after.name)}: the largest {len(shown)}</h3>{_layer_table(shown)}"
    for recipe, rows in summary.layers.items():
        total = units.size(sum(row.total for row in rows))
        title = f"{recipe}: {total} in {len(rows)} layers"
        body += f"<details><summary>{escape(title)}</summary>{_layer_table(rows)}</details>"
    return section(
        "Where the bytes go",
        body,
        "Bytes as packed in the program. Entropy is what an ideal coder would need per weight. Bars are to "
        "scale within a table.",
    )


def _layer_table(rows: Sequence[LayerSize]) -> str:
    largest = max((row.total for row in rows), default=1) or 1
    lines = [
        [
            cell(row.layer, "name"),
            cell(units.size(row.total)),
            f'<td class="barcell">{_bar(row, largest)}</td>',
            cell(units.ratio(row.ratio)),
            cell(f"{row.weights:,}"),
            cell(str(row.bits) if row.bits else ""),
            cell(row.layout),
            cell(units.percent(row.pruned)),
            cell(f"{row.bits_per_weight:.2f}"),
            cell(f"{row.entropy:.2f}"),
        ]
        for row in rows
    ]
    return table(_HEAD, lines, kind="layers")


def _bar(row: LayerSize, largest: int) -> str:
    parts = "".join(
        f'<i class="{part}" style="width:{100 * getattr(row, part) / max(row.total, 1):.2f}%"></i>'
        for part in PARTS
        if getattr(row, part)
    )
    title = ", ".join(f"{part} {units.size(getattr(row, part))}" for part in PARTS if getattr(row, part))
    width = 100 * row.total / largest
    return f'<div class="bar" title="{escape(title)}" style="width:{width:.2f}%">{parts}</div>'

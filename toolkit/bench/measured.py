"""The one form of a measurement's file: what was measured, by which command, where and with which versions.

``docs/data`` holds files of the same form, so that a study's file can be copied there as it is.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from pocketvlad import artifact, machine

TextRows = Sequence[Sequence[str]]


def write_measurement(
    out: Path,
    columns: Sequence[str],
    rows: TextRows | Sequence[Mapping[str, Any]],
    *,
    data: str,
    module: str,
    arguments: Sequence[str] = (),
    figures: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write a measurement as JSON, over an older one.

    Args:
        out: the file.
        columns: headings.
        rows: cells as text, one cell being the heading of the rows under it; or values by column.
        data: what was measured, in a few words.
        module: that ``python -m`` runs, and its ``arguments``.
        figures: behind the text, unrounded.
    """
    said = {
        "columns": list(columns),
        "command": [command_line(module, arguments)],
        "data": data,
        **where_and_when(),
        "rows": list(rows),
    }
    artifact.write_json(out, {**said, "figures": list(figures)} if figures else said, force=True)


def command_line(module: str, arguments: Sequence[str]) -> str:
    """What runs a module of the checkout again."""
    return f"PYTHONPATH=toolkit {shlex.join(['.venv/bin/python', '-m', module, *arguments])}"


def where_and_when() -> dict[str, Any]:
    """Machine, instruction set, versions and date."""
    return {
        "machine": f"{machine.cpu_name()}, {os.cpu_count()} cores",
        "isa": machine.isa(),
        "versions": artifact.versions(),
        "date": time.strftime("%Y-%m-%d"),
    }


def text_table(title: str, columns: Sequence[str], rows: TextRows, note: str = "") -> Table:
    """The same for the terminal; a row of one cell opens a section."""
    view = Table(title=Text(title), caption=note.replace("\n", " ") or None, caption_justify="left")
    for number, column in enumerate(columns):
        view.add_column(Text(column), justify="right" if number else "left")
    for row in rows:
        if len(row) == 1:
            view.add_section()
        view.add_row(*(Text(cell, style="bold" if len(row) == 1 else "") for cell in row))
    return view

"""The tables of docs/measurements.md, made from docs/data/*.json.

A file is one table: its name is that of the marker ``<!-- table: NAME -->`` under which it stands, up to
``<!-- end -->``. It has the form of :mod:`bench.measured`, so that what a study writes can be copied here as it is:

    PYTHONPATH=toolkit .venv/bin/python -m studies.tables
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocketvlad.errors import ArtifactError
from pocketvlad.schema import from_table

DOCS = Path(__file__).parents[2] / "docs"
_PLACE = re.compile(r"<!-- table: (\S+) -->\n.*?<!-- end -->", re.DOTALL)


@dataclass(frozen=True)
class MeasuredTable:
    """Rows that one command printed.

    Attributes:
        columns: headings.
        rows: cells as text; a row of one cell is the heading of the rows under it.
        command: lines that print it again.
        data: photos or weights that were measured.
        machine, isa: where; date: when it was written down, year-month-day.
        versions: of what computed it.
        figures: behind the text, unrounded; they are not shown.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    command: tuple[str, ...]
    data: str
    machine: str
    isa: str
    date: str
    versions: dict[str, str] = field(default_factory=dict)
    figures: tuple[dict[str, Any], ...] = ()

    def markdown(self) -> str:
        """The command, the table, and what was measured where."""
        command = "\n".join(f"    {line}" for line in self.command)
        blank = [""] * (len(self.columns) - 1)
        rows = [_line([f"*{row[0]}*", *blank] if len(row) == 1 else row) for row in self.rows]
        table = "\n".join([_line(self.columns), "|" + "---|" * len(self.columns), *rows])
        return f"{command}\n\n{table}\n\n<sub>{self.data}. {self.machine}, {self.isa}. {self.date}.</sub>"


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def read_tables(folder: Path) -> dict[str, MeasuredTable]:
    """Every table by its name.

    Raises:
        ArtifactError: a file is no JSON, lacks a key, or has a row that does not fit the columns.
    """
    tables = {}
    for path in sorted(folder.glob("*.json")):
        try:
            value = json.loads(path.read_text())
        except ValueError as error:
            raise ArtifactError(f"{path} is not JSON", found=str(error)) from error
        tables[path.stem] = table = from_table(MeasuredTable, value, str(path), ArtifactError)
        for number, row in enumerate(table.rows, 1):
            if len(row) not in (1, len(table.columns)):
                allowed = f"1 cell or {len(table.columns)}"
                raise ArtifactError(f"{path}: row {number} does not fit", found=len(row), allowed=allowed)
    return tables


def with_tables(page: str, tables: dict[str, MeasuredTable]) -> str:
    """The page with every table in its place.

    Raises:
        ArtifactError: a marker without its table, or a table without its marker.
    """
    places = _PLACE.findall(page)
    if sorted(places) != sorted(tables):
        raise ArtifactError(
            "the page's markers are not the tables", found=", ".join(places), allowed=", ".join(tables)
        )

    def filled(place: re.Match[str]) -> str:
        return f"<!-- table: {place[1]} -->\n{tables[place[1]].markdown()}\n<!-- end -->"

    return _PLACE.sub(filled, page)


if __name__ == "__main__":
    target = DOCS / "measurements.md"
    target.write_text(with_tables(target.read_text(), read_tables(DOCS / "data")))

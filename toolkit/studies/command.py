"""What every study's command shares: its parser, and its result as a file and a table."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.measured import TextRows, text_table, write_measurement


def study_parser(module: str, about: str | None) -> argparse.ArgumentParser:
    """Of ``python -m <module>``; ``about`` is the module's docstring, kept as it is set."""
    wrapped = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(prog=f"python -m {module}", description=about, formatter_class=wrapped)


def publish(
    out: Path,
    columns: Sequence[str],
    rows: TextRows,
    *,
    title: str,
    data: str,
    module: str,
    arguments: Sequence[str],
    width: int,
    figures: Sequence[Mapping[str, Any]] = (),
    note: str = "",
) -> None:
    """Write a measurement and print its table.

    Args:
        out: the JSON file, over an older one.
        columns: headings.
        rows: cells as text; a row of one cell is the heading of the rows under it.
        title: of the printed table.
        data: what was measured, in a few words.
        module: that ``python -m`` runs, and its ``arguments``.
        width: of the printed table, in columns.
        figures: behind the text, unrounded.
        note: under the printed table.
    """
    write_measurement(out, columns, rows, data=data, module=module, arguments=arguments, figures=figures)
    Console(width=width).print(text_table(title, columns, rows, note))

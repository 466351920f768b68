"""Rows of a cross-fitted table: what is tested under which name, and the command that prints them."""

from __future__ import annotations

import argparse
import json
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import torch
from halves import Half, Outcome, Scores, Tested, add_arguments, measure, open_halves
from rich.console import Console
from rich.table import Table

from pocketvlad import machine
from pocketvlad.compress.recipe import Recipe

Side = Literal["ours", "rival", "neither"]


@dataclass(frozen=True)
class Contender:
    """One row: ``key`` names its files, ``group`` the rows it stands with, ``side`` whose it is."""

    group: str
    key: str
    name: str
    test: Callable[[Half], Tested]
    side: Side = "rival"


@dataclass(frozen=True)
class Row:
    """A contender that was measured."""

    contender: Contender
    scores: Scores
    outcome: Outcome

    def to_json(self) -> dict[str, Any]:
        """The outcome's figures and which contender they are of."""
        named = {"group": self.contender.group, "key": self.contender.key}
        return {**named, **asdict(self.outcome), "smaller": self.outcome.smaller}


def by_recipe(group: str, name: str, recipe: Recipe) -> Contender:
    """A recipe, its exported program measured; the recipe's own name is its key."""
    return Contender(group, recipe.name, name, lambda half: half.test_recipe(recipe.name, recipe))


def table(rows: list[Row], title: str, note: str) -> Table:
    """``rows``: those of one group lie together."""
    first = rows[0].outcome
    title = f"{title}: float32 mAP {first.map_before:.1f}, {first.queries} queries"
    view = Table(title=title, caption=note.replace("\n", " "), caption_justify="left")
    view.add_column("method")
    for column in ("MB", "smaller", "cosine", "mAP", "change", "95% interval", "loses"):
        view.add_column(column, justify="right")
    for group, members in groupby(rows, key=lambda row: row.contender.group):
        view.add_section()
        view.add_row(group, style="bold")
        for o in (row.outcome for row in members):
            cells = (f"{o.program_mb:.2f}", f"{o.smaller:.1f}x", f"{o.cosine:.4f}", f"{o.map_after:.1f}")
            interval = f"{o.low:+.1f} to {o.high:+.1f}"
            view.add_row(f"  {o.recipe}", *cells, f"{o.change:+.1f}", interval, o.verdict)
    return view


def run(
    everyone: Sequence[Contender], *, about: str, title: str, note: str, size: str, out: Path
) -> tuple[list[Row], argparse.Namespace]:
    """The command: measures all rows, or those named by ``--only``, prints the table and writes ``<out>/<out>.json``.

    ``about`` is its description, ``size`` and ``out`` are defaults of its options. Returns the rows and the options.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, size=size, out=out)
    keys = [contender.key for contender in everyone]
    parser.add_argument("--only", nargs="+", choices=keys, metavar="KEY", help="of: " + ", ".join(keys))
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    halves, say = open_halves(options), Console(stderr=True).log
    rows = []
    for contender in everyone:
        if options.only is None or contender.key in options.only:
            say(contender.key)
            scores = measure(halves, contender.test)
            rows.append(Row(contender, scores, scores.outcome(contender.name)))
    found = [row.to_json() for row in rows]
    result = {"machine": machine.describe(), "size": options.size, "note": note, "rows": found}
    (options.out / f"{out.name}.json").write_text(json.dumps(result, indent=2) + "\n")
    Console(width=150).print(table(rows, f"{title}, {options.size}", note))
    return rows, options

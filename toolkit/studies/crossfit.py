r"""What recipes cost in accuracy, on places that fitted, calibrated and trained nothing.

Half of the places fit the model and calibrate or train the compression, the other half tests; then they swap, and
every photo that has a partner is a query. Sizes, descriptors and accuracy are those of the exported program. Prints a
table and writes out/bench/crossfit/crossfit.json; a second run keeps what has not changed:

    .venv/bin/python toolkit/studies/crossfit.py --photos folder:indoor folder:outdoor \
      --weights squeezenet1_1.safetensors
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from halves import Half, Outcome, add_arguments, measure, open_halves
from rich.console import Console
from rich.table import Table

from pocketvlad import machine
from pocketvlad.compress.recipe import load_recipe

RECIPES = (
    "paper-8bit",
    "paper-5bit",
    "compact-7x",
    "compact-8x",
    "compact-10x-int8",
    "compact-16x",
    "compact-32x",
    "compact-48x",
)


def table(outcomes: list[Outcome]) -> Table:
    title = "cross-fit: half of the places fit and calibrate, the other half tests"
    view = Table(title=f"{title}; {outcomes[0].queries} queries")
    columns = (
        ".pte MB",
        "overhead",
        "smaller",
        "cosine",
        "mAP before",
        "after",
        "change",
        "95% interval",
        "loses",
    )
    view.add_column("recipe")
    for column in columns:
        view.add_column(column, justify="right")
    for o in outcomes:
        cells = (f"{o.program_mb:.2f}", f"{o.overhead_mb:.2f}", f"{o.ratio:.1f}x", f"{o.cosine:.4f}")
        scores = (f"{o.map_before:.1f}", f"{o.map_after:.1f}", f"{o.change:+.1f}")
        view.add_row(o.recipe, *cells, *scores, f"{o.low:+.1f} to {o.high:+.1f}", o.verdict)
    return view


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser, size="480x640", out=Path("out/bench/crossfit"))
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    options = parser.parse_args()
    torch.manual_seed(0)
    halves = open_halves(options)
    outcomes = []
    for name in options.recipes:
        test = partial(Half.test_recipe, name=name, recipe=load_recipe(name))
        outcomes.append(measure(halves, test).outcome(name))
        Console(width=130).print(table(outcomes[-1:]))
    result = {"machine": machine.describe(), "rows": [asdict(o) for o in outcomes]}
    (options.out / "crossfit.json").write_text(json.dumps(result, indent=2) + "\n")
    Console(width=130).print(table(outcomes))


if __name__ == "__main__":
    main()

"""Rows of a cross-fitted table: what is tested under which name, and the command that measures and writes them."""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import torch

from bench.measured import TextRows
from pocketvlad.cli.console import Output
from pocketvlad.compress.recipe import Recipe
from pocketvlad.pipeline.stages import Stages
from studies.command import publish, study_parser
from studies.folds import CrossFit, Fold, add_arguments, cross_fit, measure, open_folds, said_of
from studies.scores import COLUMNS, Outcome, Scores, Tested

OUT = Path("out/studies")
_WIDTH = 150
Side = Literal["ours", "rival", "neither"]


@dataclass(frozen=True)
class Contender:
    """One row: ``key`` names its files, ``group`` the rows it stands with, ``side`` whose it is."""

    group: str
    key: str
    name: str
    test: Callable[[Fold], Tested]
    side: Side = "rival"


@dataclass(frozen=True)
class MeasuredContender:
    """A contender and how it did."""

    contender: Contender
    scores: Scores
    outcome: Outcome

    def to_json(self) -> dict[str, Any]:
        """The outcome's figures and which contender they are of."""
        return {"group": self.contender.group, "key": self.contender.key, **self.outcome.to_json()}


@dataclass(frozen=True)
class Study:
    """A command that cross-fits.

    Attributes:
        name: of the module, of its folder and file under ``OUT``.
        about: its description.
        title, note: of the table that it prints.
        size: of the input where none is asked.
    """

    name: str
    about: str
    title: str
    note: str
    size: str

    @property
    def module(self) -> str:
        return f"studies.{self.name}"

    def parser(self) -> argparse.ArgumentParser:
        """With the arguments of every study."""
        parser = study_parser(self.module, self.about)
        add_arguments(parser, size=self.size, out=OUT / self.name)
        return parser

    def chosen(
        self, everyone: Sequence[Contender], arguments: Sequence[str]
    ) -> tuple[CrossFit, list[Contender]]:
        """What the command line asks for; ``--only`` names some of the contenders."""
        parser, keys = self.parser(), [contender.key for contender in everyone]
        parser.add_argument("--only", nargs="+", choices=keys, metavar="KEY", help="of: " + ", ".join(keys))
        options = parser.parse_args(arguments)
        wanted = keys if options.only is None else options.only
        return cross_fit(options), [each for each in everyone if each.key in wanted]

    def run(
        self, options: CrossFit, contenders: Sequence[Contender], arguments: Sequence[str]
    ) -> tuple[list[MeasuredContender], str]:
        """Measure the contenders, print the table, write ``<out>/<name>.json``.

        Returns:
            The rows, and what was measured in a few words.
        """
        with self.stages() as stages:
            folds = open_folds(options, stages)
            found = [measured(each, folds) for each in contenders]
        data = said_of(folds, options)
        title = f"{self.title}: float32 mAP {found[0].outcome.map_before:.1f}"
        self.publish(
            options, COLUMNS, rows_of(found), [row.to_json() for row in found], data, arguments, title
        )
        return found, data

    @contextmanager
    def stages(self) -> Iterator[Stages]:
        """Where progress is shown, without the libraries' warnings; random numbers begin anew."""
        be_quiet()
        torch.manual_seed(0)
        with Output(False).stages() as stages:
            yield stages

    def publish(
        self,
        options: CrossFit,
        columns: Sequence[str],
        rows: TextRows,
        figures: Sequence[Mapping[str, Any]],
        data: str,
        arguments: Sequence[str],
        title: str,
    ) -> None:
        """Print a table and write it as ``<out>/<name>.json``; the rest as :func:`studies.command.publish`."""
        publish(
            options.out / f"{self.name}.json",
            columns,
            rows,
            title=f"{title}; {data}",
            data=data,
            module=self.module,
            arguments=arguments,
            width=_WIDTH,
            figures=figures,
            note=self.note,
        )


def be_quiet() -> None:
    """No warnings of the libraries between the lines of the stages."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)


def measured(contender: Contender, folds: Sequence[Fold]) -> MeasuredContender:
    """A contender tested in every fold."""
    scores = measure(folds, contender.test)
    return MeasuredContender(contender, scores, scores.outcome(contender.name))


def rows_of(found: Sequence[MeasuredContender]) -> list[tuple[str, ...]]:
    """Cells by ``COLUMNS``; those of one group lie together, under its name where it has one."""
    rows: list[tuple[str, ...]] = []
    for group, members in groupby(found, key=lambda row: row.contender.group):
        rows += [(group,)] if group else []
        rows += [row.outcome.cells() for row in members]
    return rows


def by_recipe(group: str, name: str, recipe: Recipe, side: Side = "rival", softer: float = 0.0) -> Contender:
    """A recipe, its exported program measured; the recipe's own name is its key.

    ``softer``: what a softer whitening of the float32 model may cost in cosine first.
    """
    return Contender(
        group, recipe.name, name, lambda fold: fold.test_recipe(recipe.name, recipe, softer), side
    )

r"""What recipes cost where the scene changes: fitted and calibrated on one kind of place, tested on another, both ways.

Every photo that has a partner is a query; sizes, descriptors and accuracy are those of the exported program, changes
are against the float32 program of the same model. Prints a table, the two ways under each other, and writes
out/studies/scenes/scenes.json; a second run keeps what has not changed:

    PYTHONPATH=toolkit .venv/bin/python -m studies.scenes --photos folder:indoor folder:outdoor \
      --weights squeezenet1_1.safetensors
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pocketvlad.compress.recipe import load_recipe
from studies.contenders import Study, by_recipe, measured
from studies.folds import cross_fit, open_scenes, said_of
from studies.scores import COLUMNS

RECIPES = ("compact-8x", "compact-16x", "compact-32x", "compact-48x")
STUDY = Study(
    "scenes",
    about=str(__doc__),
    title="recipes where the scene changes",
    note="fitted and calibrated on the photos named first, tested on those named second.",
    size="240x320",
)


def main(arguments: Sequence[str]) -> None:
    parser = STUDY.parser()
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    options = parser.parse_args(arguments)
    fitted, columns = cross_fit(options), (COLUMNS[0], "from and to", *COLUMNS[1:])
    rows, figures = [], []
    with STUDY.stages() as stages:
        folds = open_scenes(fitted, stages)
        for name in options.recipes:
            for fold in folds:
                way = fold.folder.name.replace("-", " to ")
                row = measured(by_recipe(way, f"`{name}`", load_recipe(name), "ours"), [fold])
                rows.append((f"`{name}`", way, *row.outcome.cells()[1:]))
                figures.append(row.to_json())
    STUDY.publish(fitted, columns, rows, figures, said_of(folds, fitted, "both ways"), arguments, STUDY.title)


if __name__ == "__main__":
    main(sys.argv[1:])

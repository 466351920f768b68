r"""What recipes cost in accuracy, on places that fitted, calibrated and trained nothing.

Half of the places fit the model and calibrate or train the compression, the other half tests; then they swap, and
every photo that has a partner is a query. Sizes, descriptors and accuracy are those of the exported program. Prints a
table and writes out/studies/crossfit/crossfit.json; a second run keeps what has not changed:

    PYTHONPATH=toolkit .venv/bin/python -m studies.crossfit --photos folder:indoor folder:outdoor \
      --weights squeezenet1_1.safetensors
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pocketvlad.compress.recipe import load_recipe
from studies.contenders import Study, by_recipe
from studies.folds import cross_fit

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
STUDY = Study(
    "crossfit",
    about=str(__doc__),
    title="recipes",
    note="MB is the whole .pte; weights smaller: their float32 bytes over the bytes of the packed arrays.",
    size="480x640",
)


def main(arguments: Sequence[str]) -> None:
    parser = STUDY.parser()
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    options = parser.parse_args(arguments)
    contenders = [by_recipe("", f"`{name}`", load_recipe(name), "ours") for name in options.recipes]
    STUDY.run(cross_fit(options), contenders, arguments)


if __name__ == "__main__":
    main(sys.argv[1:])

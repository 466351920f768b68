r"""What recipes cost over the queries of several ways of ``studies.scenes``: each set asked alone, then pooled.

Each way is a folder of that study, finished, and the photos that it asked; their models must be the same one. Prints a
table and writes out/studies/pooled/pooled.json:

    PYTHONPATH=toolkit .venv/bin/python -m studies.pooled --recipes compact-32x compact-48x \
      --asked out/studies/scenes/indoor-outdoor=folder:outdoor out/studies/streets/indoor-streets=folder:streets
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pocketvlad.artifact import file_sha256
from pocketvlad.dataset import Dataset, open_dataset
from pocketvlad.dataset.tensors import readable
from pocketvlad.errors import ArtifactError, RecipeError
from pocketvlad.evaluate.metrics import bootstrap_difference
from pocketvlad.evaluate.retrieval import evaluate_descriptors
from studies.command import publish, study_parser
from studies.contenders import OUT
from studies.folds import every_photo_asks
from studies.scores import interval

COLUMNS = ("recipe", "queries", "float32's mAP", "change of mAP (95%)")


def main(arguments: Sequence[str]) -> None:
    parser = study_parser("studies.pooled", __doc__)
    parser.add_argument("--asked", nargs="+", required=True, metavar="FOLDER=KIND:PATH")
    parser.add_argument("--recipes", nargs="+", required=True)
    parser.add_argument("--out", type=Path, default=OUT / "pooled")
    options = parser.parse_args(arguments)
    ways = [_way(said) for said in options.asked]
    if len({file_sha256(folder / "model.safetensors") for folder, _ in ways}) > 1:
        raise ArtifactError(
            "the folders are of several models", do="name those that were fitted on the same photos"
        )
    before = _precisions(ways, "float32")
    rows, figures = [], []
    for name in options.recipes:
        change = bootstrap_difference(before, _precisions(ways, name)).points()
        queries, score = len(before), 100 * float(before.mean())
        rows.append((f"`{name}`", f"{queries}", f"{score:.1f}", interval(change)))
        figures.append({"recipe": name, "queries": queries, "map_before": score, **vars(change)})
    data = f"{len(before)} queries of {len(ways)} sets, each asked alone"
    publish(
        options.out / "pooled.json",
        COLUMNS,
        rows,
        title="recipes over all queries",
        data=data,
        module="studies.pooled",
        arguments=arguments,
        width=100,
        figures=figures,
    )


def _way(said: str) -> tuple[Path, Dataset]:
    """A folder of descriptors, and the photos that they are of."""
    folder, equals, photos = said.partition("=")
    if not equals:
        raise RecipeError("--asked is not allowed", found=said, allowed="FOLDER=KIND:PATH")
    return Path(folder), every_photo_asks(readable(open_dataset(photos)))


def _precisions(ways: Sequence[tuple[Path, Dataset]], name: str) -> np.ndarray:
    """Average precisions of a program's descriptors, float64 [queries]."""
    found = []
    for folder, photos in ways:
        path = folder / f"{name}.npy"
        if not path.exists():
            raise ArtifactError(f"{path} does not exist", do="run studies.scenes with this recipe first")
        found.append(evaluate_descriptors(photos, np.load(path)).per_query)
    return np.concatenate(found)


if __name__ == "__main__":
    main(sys.argv[1:])

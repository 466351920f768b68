"""What recipes cost in accuracy, on places that fitted, calibrated and trained nothing.

Half of the places fit the model and calibrate or train the compression, the other half tests; then they swap, and
every photo that has a partner is a query. Sizes, descriptors and accuracy are those of the exported program. Prints a
table and writes out/bench/crossfit/crossfit.json; a second run keeps what has not changed:

    .venv/bin/python toolkit/bench/crossfit.py --photos folder:indoor folder:outdoor --weights squeezenet1_1.safetensors
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from pocketvlad import artifact, machine
from pocketvlad.commands.files import dataset_hash
from pocketvlad.commands.models import make_backbone
from pocketvlad.commands.training import StateFolder, fine_tune
from pocketvlad.compress.compressed import load_compressed, save_compressed
from pocketvlad.compress.photos import open_tensors
from pocketvlad.compress.post_training import compress_model
from pocketvlad.compress.sizes import float_bytes, model_bytes
from pocketvlad.dataset import Dataset, open_dataset
from pocketvlad.dataset.types import Query, merge
from pocketvlad.evaluate.describe import describe_photos
from pocketvlad.evaluate.metrics import bootstrap_difference
from pocketvlad.evaluate.retrieval import evaluate_descriptors
from pocketvlad.export.program import export_model
from pocketvlad.export.runner import ProgramRunner
from pocketvlad.model.fit import fit_model
from pocketvlad.model.netvlad import ModelConfig, load_model, save_model
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.recipe import load_recipe
from pocketvlad.stages import StageLog

HALVES = ("even", "odd")
RECIPES = (
    "paper-8bit",
    "paper-5bit",
    "compact-7x",
    "compact-8x",
    "compact-16x",
    "compact-32x",
    "compact-48x",
)
ALLOWED_DROP = -2.0  # points: an interval that ends no lower loses nothing


@dataclass(frozen=True)
class Outcome:
    """A recipe over both directions; mAP in points of 100, the interval paired over all queries.

    ``ratio`` is the float32 bytes of the weights over the bytes of the packed arrays; what the ``.pte`` holds beside
    them stands apart in ``overhead_mb``.
    """

    recipe: str
    program_mb: float
    overhead_mb: float
    ratio: float
    cosine: float
    map_before: float
    map_after: float
    change: float
    low: float
    high: float
    queries: int


def every_photo_asks(dataset: Dataset) -> Dataset:
    """The dataset with a query for every photo that has a partner at its place; junk stays junk."""
    members: dict[str, set[int]] = defaultdict(set)
    junk: dict[str, set[int]] = defaultdict(set)
    for query in dataset.queries:
        place = str(dataset.photos[query.photo].place)
        members[place] |= {query.photo, *query.positives}
        junk[place] |= query.junk
    queries = [
        Query(photo, frozenset(same - {photo}), frozenset(junk[place] - same | {photo}))
        for place, same in sorted(members.items())
        for photo in sorted(same)
        if len(same) > 1
    ]
    return replace(dataset, queries=tuple(queries), database=tuple(range(len(dataset.photos))))


class Half:
    """One direction: fits on one half of the places, tests on the other."""

    def __init__(self, options: argparse.Namespace, datasets: list[Dataset], fit: str):
        self.folder = options.out / fit
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = StageLog(self.folder)
        self.fitting = merge([dataset.split(fit) for dataset in datasets])
        self.testing = every_photo_asks(merge([dataset.split(HALVES[fit == "even"]) for dataset in datasets]))
        self.model = self._fit(options)
        self.reference, _ = self._measure("float32", self.model)

    def _fit(self, options: argparse.Namespace) -> Path:
        height, width = (int(n) for n in options.size.split("x"))
        config = ModelConfig(options.backbone, options.clusters, options.dim, Preprocess(height, width))
        out, paths = self.folder / "model.safetensors", [photo.path for photo in self.fitting.photos]

        def body() -> dict[str, Any]:
            backbone = make_backbone(config, options.weights, paths, 0)
            model, _ = fit_model(config, backbone, paths)
            save_model(out, model, {"photos": len(paths)}, force=True)
            return {}

        inputs = {"config": config.to_json(), "weights": artifact.file_sha256(options.weights)}
        self.log.run("model", {**inputs, "photos": dataset_hash(self.fitting)}, [out], body)
        return out

    def _measure(self, name: str, source: Path) -> tuple[np.ndarray, Path]:
        """Descriptors of the testing photos by the exported program, and the program."""
        program, found = self.folder / f"{name}.pte", self.folder / f"{name}.npy"

        def body() -> dict[str, Any]:
            compressed = artifact.load_info(source)["kind"] == "compressed"
            model = load_compressed(source) if compressed else load_model(source)
            export_model(model, program, made_from={}, force=True)
            describe = ProgramRunner(program, threads=2).describe
            descriptors, _, skipped = describe_photos(describe, self.testing)
            assert not skipped, skipped
            np.save(found, descriptors)
            return {}

        inputs = {"source": artifact.file_sha256(source), "photos": dataset_hash(self.testing)}
        self.log.run(f"measure {name}", inputs, [program, found], body)
        return np.load(found), program

    def measure(self, name: str) -> dict[str, Any]:
        """One recipe: scores of every query before and after, cosines and sizes."""
        out, recipe = self.folder / f"{name}.safetensors", load_recipe(name)

        def body() -> dict[str, Any]:
            if recipe.needs_labels:
                trained = fine_tune(
                    self.model, recipe, self.fitting, out, afresh=False, progress=lambda *step: None
                )
                assert trained is not None
                compressed = trained.compressed
            else:
                source = load_model(self.model)
                calibration = open_tensors(self.fitting, source.config.preprocess).calibration()
                compressed = compress_model(source, recipe, calibration=calibration)
            save_compressed(out, compressed, {}, force=True)
            if recipe.needs_labels:
                StateFolder(out).remove()
            return {}

        inputs = {"model": artifact.file_sha256(self.model), "recipe": asdict(recipe)}
        self.log.run(f"compress {name}", {**inputs, "photos": dataset_hash(self.fitting)}, [out], body)
        found, program = self._measure(name, out)
        compressed = load_compressed(out)
        return {
            "before": evaluate_descriptors(self.testing, self.reference).per_query,
            "after": evaluate_descriptors(self.testing, found).per_query,
            "cosines": np.einsum("nd,nd->n", found, self.reference),
            "bytes": (program.stat().st_size, model_bytes(compressed), float_bytes(compressed)),
        }


def measure(halves: list[Half], name: str) -> Outcome:
    """One recipe, compressed and tested in both directions."""
    results = [half.measure(name) for half in halves]
    first, second, cosines = (
        np.concatenate([result[key] for result in results]) for key in ("before", "after", "cosines")
    )
    program, packed, whole = np.mean([result["bytes"] for result in results], axis=0)
    change = bootstrap_difference(first, second)
    return Outcome(
        name,
        program / 1e6,
        (program - packed) / 1e6,
        whole / packed,
        float(cosines.mean()),
        100 * first.mean(),
        100 * second.mean(),
        100 * change.mean,
        100 * change.low,
        100 * change.high,
        len(first),
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
        verdict = "nothing" if o.low >= ALLOWED_DROP else ""
        view.add_row(o.recipe, *cells, *scores, f"{o.low:+.1f} to {o.high:+.1f}", verdict)
    return view


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", nargs="+", required=True, help="KIND:PATH, each split by places")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--backbone", default="squeezenet1_1")
    parser.add_argument("--clusters", type=int, default=64)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--size", default="480x640")
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--out", type=Path, default=Path("out/bench/crossfit"))
    options = parser.parse_args()
    torch.manual_seed(0)
    halves = [Half(options, [open_dataset(spec) for spec in options.photos], fit) for fit in HALVES]
    outcomes = []
    for name in options.recipes:
        outcomes.append(measure(halves, name))
        Console(width=130).print(table(outcomes[-1:]))
    result = {"machine": machine.describe(), "rows": [asdict(o) for o in outcomes]}
    (options.out / "crossfit.json").write_text(json.dumps(result, indent=2) + "\n")
    Console(width=130).print(table(outcomes))


if __name__ == "__main__":
    main()

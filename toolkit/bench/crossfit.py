"""What recipes cost in accuracy, on places that fitted and calibrated nothing.

Half of the places fit the model and calibrate the compression, the other half tests; then they swap. Figures are
those of the `fast` kernels' arithmetic, emulated in torch. Prints a table and writes out/bench/crossfit.json:

    .venv/bin/python toolkit/bench/crossfit.py --photos folder:indoor folder:outdoor --weights squeezenet1_1.safetensors
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file
from torch import Tensor, nn

from pocketvlad.compress.emulate import fast_torch
from pocketvlad.compress.post_training import compress_model
from pocketvlad.compress.sizes import float_bytes, model_bytes
from pocketvlad.dataset import Dataset, open_dataset
from pocketvlad.dataset.types import merge
from pocketvlad.evaluate.metrics import bootstrap_difference
from pocketvlad.evaluate.retrieval import evaluate_descriptors
from pocketvlad.model.backbones import build_backbone
from pocketvlad.model.fit import fit_model, load_photo_tensors
from pocketvlad.model.netvlad import ModelConfig, PlaceModel
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.recipe import load_recipe

HALVES = ("even", "odd")


@dataclass(frozen=True, eq=False)
class Half:
    """One direction of the cross-fit: the model of one half, the photos of both, the other half's ground truth."""

    model: PlaceModel
    calibration: Tensor
    test: Tensor
    dataset: Dataset
    reference: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """A recipe over both directions; mAP in points of 100, the interval paired over all queries."""

    recipe: str
    mb: float
    ratio: float
    cosine: float
    map_before: float
    map_after: float
    change: float
    low: float
    high: float


def describe(model: nn.Module, photos: Tensor) -> np.ndarray:
    with torch.inference_mode():
        return torch.cat([model(photo[None]) for photo in photos]).numpy()


def prepare(options: argparse.Namespace, datasets: list[Dataset], fit: str) -> Half:
    """Fit on one half; cached beside the results, since it takes minutes."""
    height, width = (int(n) for n in options.size.split("x"))
    config = ModelConfig(options.backbone, options.clusters, options.dim, Preprocess(height, width))
    fitting = merge([dataset.split(fit) for dataset in datasets])
    testing = merge([dataset.split(HALVES[fit == "even"]) for dataset in datasets])
    backbone = build_backbone(options.backbone, load_file(options.weights))
    model, _ = fit_model(config, backbone, [photo.path for photo in fitting.photos])
    calibration, _ = load_photo_tensors([photo.path for photo in fitting.photos], config)
    test, _ = load_photo_tensors([photo.path for photo in testing.photos], config)
    stacked = torch.stack(test)
    return Half(model, torch.stack(calibration), stacked, testing, describe(model, stacked))


def measure(halves: list[Half], name: str) -> Outcome:
    """One recipe, compressed and tested in both directions."""
    before, after, cosines, sizes = [], [], [], []
    for half in halves:
        compressed = compress_model(half.model, load_recipe(name), calibration=half.calibration)
        found = describe(fast_torch(compressed), half.test)
        cosines.append((found * half.reference).sum(axis=1))
        before.append(evaluate_descriptors(half.dataset, half.reference).per_query)
        after.append(evaluate_descriptors(half.dataset, found).per_query)
        sizes.append((model_bytes(compressed), float_bytes(compressed)))
    first, second = np.concatenate(before), np.concatenate(after)
    change = bootstrap_difference(first, second)
    packed, whole = np.mean(sizes, axis=0)
    return Outcome(
        name,
        packed / 1e6,
        whole / packed,
        float(np.concatenate(cosines).mean()),
        100 * first.mean(),
        100 * second.mean(),
        100 * change.mean,
        100 * change.low,
        100 * change.high,
    )


def table(outcomes: list[Outcome]) -> Table:
    view = Table(title="cross-fit: half of the places fit and calibrate, the other half tests")
    for column in ("recipe", "MB", "smaller", "cosine", "mAP before", "after", "change", "95% interval"):
        view.add_column(column, justify="left" if column == "recipe" else "right")
    for o in outcomes:
        cells = (
            f"{o.mb:.2f}",
            f"{o.ratio:.1f}x",
            f"{o.cosine:.4f}",
            f"{o.map_before:.1f}",
            f"{o.map_after:.1f}",
        )
        view.add_row(o.recipe, *cells, f"{o.change:+.1f}", f"{o.low:+.1f} to {o.high:+.1f}")
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
    parser.add_argument(
        "--recipes",
        nargs="+",
        default=["paper-8bit", "paper-5bit", "compact-8x", "compact-16x", "compact-24x"],
    )
    parser.add_argument("--out", type=Path, default=Path("out/bench/crossfit.json"))
    options = parser.parse_args()
    datasets = [open_dataset(spec) for spec in options.photos]
    halves = [prepare(options, datasets, fit) for fit in HALVES]
    outcomes = [measure(halves, name) for name in options.recipes]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps([asdict(o) for o in outcomes], indent=2) + "\n")
    Console(width=max(120, Console().width)).print(table(outcomes))


if __name__ == "__main__":
    main()

"""Cross-fitting: half of the places fit, calibrate and train, the other half tests; then they swap.

Every stage is kept in the output folder, so that a second run measures what is new or has changed.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pocketvlad.commands.files import dataset_hash
from pocketvlad.commands.models import make_backbone
from pocketvlad.commands.training import StateFolder, fine_tune
from pocketvlad.model.netvlad import ModelConfig, load_model, save_model

from pocketvlad import artifact
from pocketvlad.compress.compressed import load_compressed, save_compressed
from pocketvlad.compress.post_training import compress_model
from pocketvlad.compress.recipe import Recipe
from pocketvlad.compress.sizes import float_bytes, model_bytes
from pocketvlad.dataset import Dataset, open_dataset
from pocketvlad.dataset.tensors import PhotoTensors, open_tensors
from pocketvlad.dataset.types import Query, merge
from pocketvlad.evaluate.describe import describe_photos
from pocketvlad.evaluate.metrics import bootstrap_difference
from pocketvlad.evaluate.retrieval import evaluate_descriptors
from pocketvlad.export.program import export_model
from pocketvlad.model.fit import fit_model
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.pipeline.log import StageLog
from pocketvlad.runtime.runner import ProgramRunner

HALVES = ("even", "odd")
ALLOWED_DROP = -2.0  # points: an interval that ends no lower loses nothing
Describe = Callable[[Any], np.ndarray]


@dataclass(frozen=True, eq=False)
class Tested:
    """What a contender makes of one half's testing photos.

    Attributes:
        descriptors: float32 [photos, dim].
        file_bytes: of its program, or of its weights where there is no program.
        weight_bytes: of its weights alone.
        float_bytes: of the same weights in float32.
    """

    descriptors: np.ndarray
    file_bytes: int
    weight_bytes: int
    float_bytes: int


@dataclass(frozen=True, eq=False)
class Scores:
    """A contender over both directions, query by query.

    Attributes:
        before, after: average precisions of the float32 program and of the contender, float64 [queries].
        cosines: between the descriptors of both, float32 [photos].
        file_bytes, weight_bytes, float_bytes: of :class:`Tested`, means of the two directions.
    """

    before: np.ndarray
    after: np.ndarray
    cosines: np.ndarray
    file_bytes: float
    weight_bytes: float
    float_bytes: float

    def outcome(self, name: str) -> Outcome:
        """The row of a table."""
        change = bootstrap_difference(self.before, self.after)
        return Outcome(
            name,
            self.file_bytes / 1e6,
            (self.file_bytes - self.weight_bytes) / 1e6,
            self.float_bytes / self.weight_bytes,
            float(self.cosines.mean()),
            100 * self.before.mean(),
            100 * self.after.mean(),
            100 * change.mean,
            100 * change.low,
            100 * change.high,
            len(self.before),
        )


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

    @property
    def smaller(self) -> float:
        """The float32 bytes of the weights over the bytes of the whole file."""
        return self.ratio * (1 - self.overhead_mb / self.program_mb)

    @property
    def verdict(self) -> str:
        return "nothing" if self.low >= ALLOWED_DROP else ""


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
        self.reference, _ = self._describe_by_program("float32", self.model)

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

    def fitting_tensors(self) -> PhotoTensors:
        """The fitting photos as the model's inputs."""
        return open_tensors(self.fitting, load_model(self.model).config.preprocess)

    def _describe(self, describe: Describe, out: Path) -> None:
        descriptors, readable = describe_photos(describe, self.testing)
        assert len(readable.photos) == len(self.testing.photos), readable.skipped
        np.save(out, descriptors)

    def _describe_by_program(self, name: str, source: Path) -> tuple[np.ndarray, Path]:
        """Descriptors of the testing photos by the exported program, and the program."""
        program, found = self.folder / f"{name}.pte", self.folder / f"{name}.npy"

        def body() -> dict[str, Any]:
            compressed = artifact.load_info(source)["kind"] == "compressed"
            model = load_compressed(source) if compressed else load_model(source)
            export_model(model, program, made_from={}, force=True)
            self._describe(ProgramRunner(program, threads=2).describe, found)
            return {}

        inputs = {"source": artifact.file_sha256(source), "photos": dataset_hash(self.testing)}
        self.log.run(f"measure {name}", inputs, [program, found], body)
        return np.load(found), program

    def test_recipe(self, name: str, recipe: Recipe) -> Tested:
        """Compress by a recipe on the fitting photos, export, describe the testing photos."""
        out = self.folder / f"{name}.safetensors"

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

        inputs = {"model": artifact.file_sha256(self.model), "recipe": recipe.key()}
        self.log.run(f"compress {name}", {**inputs, "photos": dataset_hash(self.fitting)}, [out], body)
        found, program = self._describe_by_program(name, out)
        compressed = load_compressed(out)
        return Tested(found, program.stat().st_size, model_bytes(compressed), float_bytes(compressed))

    def test_peer(
        self, name: str, options: dict[str, Any], build: Callable[[], tuple[Describe, int]]
    ) -> Tested:
        """Describe the testing photos by what ``build`` makes: a describing function and its bytes.

        ``options`` are the JSON values that decide what is built.
        """
        found = self.folder / f"{name}.npy"

        def body() -> dict[str, Any]:
            describe, size = build()
            self._describe(describe, found)
            return {"bytes": size}

        photos = [dataset_hash(self.fitting), dataset_hash(self.testing)]
        inputs = {"model": artifact.file_sha256(self.model), "photos": photos, "options": options}
        figures, _ = self.log.run(f"peer {name}", inputs, [found], body)
        whole = 4 * sum(parameter.numel() for parameter in load_model(self.model).parameters())
        return Tested(np.load(found), figures["bytes"], figures["bytes"], whole)

    def score(self, tested: Tested) -> Scores:
        """This direction's queries."""
        return Scores(
            evaluate_descriptors(self.testing, self.reference).per_query,
            evaluate_descriptors(self.testing, tested.descriptors).per_query,
            np.einsum("nd,nd->n", tested.descriptors, self.reference),
            tested.file_bytes,
            tested.weight_bytes,
            tested.float_bytes,
        )


def open_halves(options: argparse.Namespace) -> list[Half]:
    """Both directions, fitted; ``options`` as :func:`add_arguments` adds them."""
    return [Half(options, [open_dataset(spec) for spec in options.photos], fit) for fit in HALVES]


def add_arguments(parser: argparse.ArgumentParser, *, size: str, out: Path) -> None:
    """The arguments of every command that cross-fits."""
    parser.add_argument("--photos", nargs="+", required=True, help="KIND:PATH, each split by places")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--backbone", default="squeezenet1_1")
    parser.add_argument("--clusters", type=int, default=64)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--size", default=size)
    parser.add_argument("--out", type=Path, default=out)


def measure(halves: Sequence[Half], test: Callable[[Half], Tested]) -> Scores:
    """One contender, made and tested in both directions."""
    found = [half.score(test(half)) for half in halves]
    queries = [
        np.concatenate([getattr(one, name) for one in found]) for name in ("before", "after", "cosines")
    ]
    sizes = np.mean([(one.file_bytes, one.weight_bytes, one.float_bytes) for one in found], axis=0)
    return Scores(*queries, *(float(size) for size in sizes))

"""Cross-fitting: half of the places fit, calibrate and train, the other half tests; then they swap.

Every stage is kept in the output folder, so that a second run measures what is new or has changed.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from pocketvlad import artifact
from pocketvlad.compress.compressed import load_compressed
from pocketvlad.compress.recipe import Recipe
from pocketvlad.compress.sizes import float_bytes, model_bytes
from pocketvlad.dataset import Dataset, open_dataset
from pocketvlad.dataset.tensors import PhotoTensors, open_tensors, readable
from pocketvlad.dataset.types import Query, merge
from pocketvlad.errors import ArtifactError, RecipeError
from pocketvlad.evaluate.retrieval import evaluate_descriptors
from pocketvlad.model.network import Network, load_model, save_model
from pocketvlad.model.wanted import AUTO, WORDS
from pocketvlad.pipeline.plan import BASELINE
from pocketvlad.pipeline.stages import StageRunner, Stages, kernels
from pocketvlad.progress import Progress
from pocketvlad.runtime.runner import ProgramRunner
from pocketvlad.steps import compress, export, fit
from pocketvlad.steps.common import dataset_hash, parse_size
from pocketvlad.steps.describe import Described, describe_all
from pocketvlad.steps.fit_options import FitOptions
from studies.scores import Scores, Tested, joined
from studies.softening import soften_whitening

FITTING = ("even", "odd")
Describe = Callable[[Any], np.ndarray]  # path or decoded photo -> descriptor float32 [dim]


@dataclass(frozen=True)
class CrossFit:
    """What is cross-fitted.

    Attributes:
        photos: ``KIND:PATH`` each, split by places.
        model: what is fitted in each fold.
        out: folder of everything made.
        threads: of the programs.
        most: photos of each half, evenly spread; 0: all.
        made: a model's file that stands for what would be fitted.
    """

    photos: tuple[str, ...]
    model: FitOptions
    out: Path
    threads: int = 2
    most: int = 0
    made: Path | None = None

    @property
    def size(self) -> str:
        """Of the input, ``HEIGHTxWIDTH``."""
        return f"{self.model.height}x{self.model.width}"


@dataclass(frozen=True)
class PeerSize:
    """Bytes of what is not a program of ours."""

    bytes: int


class Fold:
    """A model fitted on some places and tested on others.

    Args:
        options: what is cross-fitted.
        name: of the folder and in what is shown.
        fitting: the photos that fit, calibrate and train.
        testing: the photos that test; every one that has a partner asks.
        stages: where progress is shown.
    """

    def __init__(self, options: CrossFit, name: str, fitting: Dataset, testing: Dataset, stages: Stages):
        self.options, self.folder = options, options.out / name
        self.stages = StageRunner(self.folder, stages, f"{name} ")
        self.fitting, self.testing = fitting, every_photo_asks(testing)
        self.hashes = [dataset_hash(self.fitting), dataset_hash(self.testing)]
        self.model = options.made or self._fitted()
        self.reference, self.program = self._tested_program(BASELINE, self.model)

    def _fitted(self) -> Path:
        out, options = self.folder / "model.safetensors", self.options.model
        values = {key: str(value) for key, value in vars(options).items() if key != "weights"}
        inputs = {"weights": options.weights_sha256(), "photos": self.hashes[0], **values}

        def body(progress: Progress) -> fit.Fitted:
            return fit.fit(self.fitting, out, options, force=True, progress=progress)

        def say(made: fit.Fitted) -> str:
            return f"fitted on {made.photos} photos, {made.mb:.1f} MB"

        self.stages.notes("weights", self.stages.run("model", fit.Fitted, inputs, [out], body, say).notes)
        return out

    def network(self) -> Network:
        """The fitted float32 network, read anew."""
        return load_model(self.model)

    def fitting_tensors(self) -> PhotoTensors:
        """The fitting photos as the model's inputs."""
        return open_tensors(self.fitting, self.network().config.preprocess)

    def _tested_program(self, name: str, source: Path) -> tuple[np.ndarray, Path]:
        """Descriptors of the testing photos by the exported program, and the program."""
        program = self.folder / f"{name}.pte"
        inputs = {"source": artifact.file_sha256(source), **kernels()}

        def body(progress: Progress) -> export.Exported:
            return export.export(source, program, force=True, progress=progress)

        def say(made: export.Exported) -> str:
            return f"{made.mb:.2f} MB"

        self.stages.run(f"program {name}", export.Exported, inputs, [program], body, say)
        made_from = {"program": artifact.file_sha256(program), **kernels()}
        return self._described(name, made_from, lambda: self._program(program)), program

    def _program(self, program: Path) -> Describe:
        return ProgramRunner(program, threads=self.options.threads).describe

    def _described(self, name: str, inputs: dict[str, Any], opened: Callable[[], Describe]) -> np.ndarray:
        out = self.folder / f"{name}.npy"

        def body(progress: Progress) -> Described:
            found = describe_all(opened(), self.testing, out, progress)
            return Described(str(out), len(found), found.shape[1], ())

        def say(made: Described) -> str:
            return f"{made.photos} photos described"

        inputs = {**inputs, "photos": self.hashes[1]}
        self.stages.run(f"describe {name}", Described, inputs, [out], body, say)
        return np.load(out)

    def test_recipe(self, name: str, recipe: Recipe, softer: float = 0.0) -> Tested:
        """Compress by a recipe on the fitting photos, export, describe the testing photos.

        ``softer``: what a softer whitening of the float32 model may cost in cosine first.
        """
        out, model = self.folder / f"{name}.safetensors", self._softened(softer)
        inputs = {
            "model": artifact.file_sha256(model),
            "recipe": recipe.key(),
            "photos": self.hashes[0],
        }

        def body(progress: Progress) -> compress.CompressionResult:
            found = compress.compress(model, out, recipe, self.fitting, force=True, progress=progress)
            if found is None:
                raise RecipeError("a study runs in one process", do="start it without torchrun")
            return found

        def say(made: compress.CompressionResult) -> str:
            return f"{made.mb:.2f} MB of codes and codebooks"

        self.stages.run(f"compress {name}", compress.CompressionResult, inputs, [out], body, say)
        descriptors, program = self._tested_program(name, out)
        compressed = load_compressed(out)
        sizes = model_bytes(compressed), float_bytes(compressed)
        return Tested(descriptors, program.stat().st_size, *sizes)

    def _softened(self, loss: float) -> Path:
        """The model's file, or one of it with a softer whitening."""
        if not loss:
            return self.model
        out = self.folder / f"softened-{loss}.safetensors"
        save_model(out, soften_whitening(self.network(), loss), {"softened": loss}, force=True)
        return out

    def test_peer(
        self, name: str, options: dict[str, Any], build: Callable[[], tuple[Describe, int]]
    ) -> Tested:
        """Describe the testing photos by what ``build`` makes: a describing function and its bytes.

        ``options`` are the JSON values that decide what is built.
        """
        out = self.folder / f"{name}.npy"
        model = artifact.file_sha256(self.model)
        inputs = {"model": model, "photos": self.hashes, "options": options}

        def body(progress: Progress) -> PeerSize:
            describe, size = build()
            describe_all(describe, self.testing, out, progress)
            return PeerSize(size)

        def say(made: PeerSize) -> str:
            return f"{made.bytes / 1e6:.2f} MB"

        size = self.stages.run(f"peer {name}", PeerSize, inputs, [out], body, say).bytes
        return Tested(np.load(out), size, size, parameter_bytes(self.network()))

    def score(self, tested: Tested) -> Scores:
        """This fold's queries."""
        return Scores(
            evaluate_descriptors(self.testing, self.reference).per_query,
            evaluate_descriptors(self.testing, tested.descriptors).per_query,
            np.einsum("nd,nd->n", tested.descriptors, self.reference),
            tested.file_bytes,
            tested.weight_bytes,
            tested.float_bytes,
        )


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


def open_folds(options: CrossFit, stages: Stages, fitting: Iterable[str] = FITTING) -> list[Fold]:
    """The folds, fitted: both, or those named."""
    datasets = [readable(open_dataset(spec)) for spec in options.photos]
    halves = {half: merge([dataset.split(half) for dataset in datasets]) for half in FITTING}
    if options.most:
        halves = {half: _few(dataset, options.most) for half, dataset in halves.items()}
    others = dict(zip(FITTING, reversed(FITTING), strict=True))
    return [Fold(options, half, halves[half], halves[others[half]], stages) for half in fitting]


def _few(dataset: Dataset, most: int) -> Dataset:
    count = len(dataset.photos)
    return dataset.subset(range(0, count, -(-count // most)))


def open_scenes(options: CrossFit, stages: Stages) -> list[Fold]:
    """One dataset fits, another tests: a fold for every pair, named after both."""
    datasets = {spec.partition(":")[2]: readable(open_dataset(spec)) for spec in options.photos}
    named = {Path(path).name: dataset for path, dataset in datasets.items()}
    return [
        Fold(options, f"{fitting}-{testing}", named[fitting], named[testing], stages)
        for fitting, testing in permutations(named, 2)
    ]


def measure(folds: Sequence[Fold], test: Callable[[Fold], Tested]) -> Scores:
    """One contender, made and tested in every fold."""
    return joined([fold.score(test(fold)) for fold in folds])


def said_of(folds: Sequence[Fold], options: CrossFit, how: str = "halves swapped") -> str:
    """What was measured, in a few words; ``how`` several folds share the photos."""
    tested = [fold.testing for fold in folds]
    photos = sum(len(dataset.photos) for dataset in tested)
    places = sum(len(dataset.places()) for dataset in tested)
    queries = sum(len(dataset.queries) for dataset in tested)
    swapped = f"{how}, " if len(folds) > 1 else ""
    return f"{photos} photos of {places} places, {swapped}{queries} queries, {options.size}"


def parameter_bytes(network: nn.Module) -> int:
    """Of every parameter in float32."""
    return 4 * sum(parameter.numel() for parameter in network.parameters())


def whitening_of(network: Network) -> nn.Linear:
    """ArtifactError for a network without one."""
    if network.whitening is None:
        raise ArtifactError("the study is of networks with a whitening", do="give it a --dim")
    return network.whitening


def add_arguments(parser: argparse.ArgumentParser, *, size: str, out: Path) -> None:
    """The arguments of every command that cross-fits; :func:`cross_fit` reads them."""
    parser.add_argument("--photos", nargs="+", required=True, help="KIND:PATH, each split by places")
    parser.add_argument("--weights", help="of the backbone; else it is built from the photos")
    parser.add_argument("--backbone", default="squeezenet1_1")
    parser.add_argument("--head", default="netvlad")
    parser.add_argument("--clusters", type=int, default=64)
    parser.add_argument("--dim", type=int, default=512, help="after whitening; 0: none")
    parser.add_argument("--whitening", choices=(AUTO, *WORDS), default=AUTO)
    parser.add_argument("--views", type=int, default=0, help="per photo for the whitening; 0: chosen")
    parser.add_argument("--size", default=size)
    parser.add_argument("--out", type=Path, default=out)


def cross_fit(options: argparse.Namespace) -> CrossFit:
    """What the arguments ask for."""
    height, width = parse_size(options.size)
    model = FitOptions(
        options.backbone,
        options.weights,
        options.head,
        clusters=options.clusters,
        dim=options.dim,
        height=height,
        width=width,
        views=options.views,
        whitening=options.whitening,
    )
    return CrossFit(tuple(options.photos), model, options.out)

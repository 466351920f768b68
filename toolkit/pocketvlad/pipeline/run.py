"""`pocketvlad run`: the steps of a plan, each a stage, from photos to an APK."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad import artifact, machine
from pocketvlad.android.package import fingerprint as app_fingerprint
from pocketvlad.android.results import SelfTestResult
from pocketvlad.compress.compressed import load_compressed
from pocketvlad.compress.recipe import LUT
from pocketvlad.dataset import Dataset
from pocketvlad.dataset.tensors import readable
from pocketvlad.errors import DatasetError, MissingToolError, RecipeError
from pocketvlad.evaluate.metrics import metric_name
from pocketvlad.evaluate.retrieval import evaluate_descriptors
from pocketvlad.export.called import called_layers
from pocketvlad.export.lower import photo_example
from pocketvlad.export.pack import pack, semantics_of
from pocketvlad.index import Visit, open_index, split_visitors, visits
from pocketvlad.pipeline.files import PlanFiles
from pocketvlad.pipeline.plan import MODEL, slug
from pocketvlad.pipeline.source import ModelSource
from pocketvlad.pipeline.stages import StageRunner, Stages, kernels
from pocketvlad.progress import Progress
from pocketvlad.runtime.describer import open_describer
from pocketvlad.runtime.latency import Latency, measure_latency
from pocketvlad.runtime.profile import LayerTime, OpTime, layer_times, profile_program
from pocketvlad.runtime.runner import ProgramRunner
from pocketvlad.steps import compress, export, fit, index, package
from pocketvlad.steps.common import dataset_hash
from pocketvlad.steps.describe import describe_by
from pocketvlad.steps.whitening import whitening_words

_LATENCY_RUNS = 15
_CPUS = ("max", "cortex-a53")


@dataclass(frozen=True)
class Accuracy:
    """Of a program on the testing photos: a score of the metric, 0 to 100."""

    metric: str
    score: float
    queries: int


@dataclass(frozen=True)
class Times:
    """Milliseconds of programs by name."""

    programs: dict[str, Latency]


@dataclass(frozen=True)
class ProgramTimes:
    """Milliseconds of a program's ops, the longest first, and of its packed layers in their order."""

    ops: tuple[OpTime, ...]
    layers: tuple[LayerTime, ...]


class Run:
    """One run of a plan into a folder."""

    def __init__(self, files: PlanFiles, out: Path, stages: Stages):
        self.plan, self.recipes, self.out = files.plan, files.recipes, out
        self.stages = StageRunner(out, stages)
        self._source = ModelSource(files.plan, self.stages.note)
        self._source.require_possible()
        split_places(
            files.dataset, self.plan.photos.fit
        )  # said before the photos are read, where it cannot be done
        # without the photos that cannot be read: every program then answers for the same ones
        self.dataset = readable(files.dataset)
        self.fitting, self.testing = split_places(self.dataset, self.plan.photos.fit)
        self._fitting_hash = dataset_hash(self.fitting)

    def model(self) -> tuple[Path, fit.Fitted]:
        """The uncompressed model: imported whole, or fitted on the fitting places."""
        out, source = self.out / f"{MODEL}.safetensors", self._source
        inputs = {**source.key(), "photos": self._fitting_hash}

        def body(progress: Progress) -> fit.Fitted:
            return source.make(self.fitting, out, progress)

        def say(made: fit.Fitted) -> str:
            said = f"{made.config['backbone']}, {made.weights / 1e6:.1f}M weights, {made.mb:.1f} MB"
            return said if made.whitening is None else f"{said}, {whitening_words(made.whitening)}"

        made = self.stages.run("model", fit.Fitted, inputs, [out], body, say)
        self.stages.notes("weights", made.notes)
        return out, made

    def compressed(self, model: Path, name: str) -> tuple[Path, compress.CompressionResult]:
        """One recipe applied to the model; photos that calibrate and train are fitting photos."""
        out, recipe = self.out / f"{slug(name)}.safetensors", self.recipes[name]
        inputs = {
            "model": artifact.file_sha256(model),
            "recipe": recipe.key(),
            "photos": self._fitting_hash,  # what it costs is measured on them, whatever the recipe
        }

        def body(progress: Progress) -> compress.CompressionResult:
            found = compress.compress(model, out, recipe, self.fitting, force=True, progress=progress)
            if found is None:
                raise RecipeError(
                    "a plan runs in one process", do="train apart, and name the model in the plan"
                )
            return found

        def say(made: compress.CompressionResult) -> str:
            return f"{made.mb:.2f} MB of codes and codebooks"

        return out, self.stages.run(f"compress {name}", compress.CompressionResult, inputs, [out], body, say)

    def program(self, source: Path, name: str) -> tuple[Path, export.Exported]:
        """The ``.pte`` of a model, checked against torch on photos."""
        out, semantics = self.out / f"{slug(name)}.pte", self.plan.app.semantics
        inputs = {"source": artifact.file_sha256(source), "semantics": semantics, **kernels()}

        def body(progress: Progress) -> export.Exported:
            return export.export(source, out, semantics=semantics, photos=self.fitting, force=True)

        def say(made: export.Exported) -> str:
            return f"{made.mb:.2f} MB, worst cosine to torch {made.worst_cosine:.5f}"

        return out, self.stages.run(f"program {name}", export.Exported, inputs, [out], body, say)

    def descriptors(self, program: Path, name: str) -> np.ndarray:
        """Descriptors of the testing photos by the program itself, float32 [n, dim]."""
        out = self.out / f"{slug(name)}.descriptors.npy"
        inputs = {
            "program": artifact.file_sha256(program),
            "photos": dataset_hash(self.testing),
            **kernels(),
        }

        def body(progress: Progress) -> Accuracy:
            found = describe_by(open_describer(program, threads=2), self.testing, out, progress)
            result = evaluate_descriptors(self.testing, found)
            return Accuracy(metric_name(result.metric), 100 * result.score, len(result.queries))

        def say(made: Accuracy) -> str:
            return f"{made.metric} {made.score:.1f} on {made.queries} queries"

        self.stages.run(f"evaluate {name}", Accuracy, inputs, [out], body, say)
        return np.load(out)

    def index(self, program: Path) -> tuple[Path, Dataset]:
        """The app's index of the testing places, and the visitors' photos left out of it."""
        out, vectors = self.out / "places.pvix", self.plan.app.vectors
        database, visitors = split_visitors(self.testing)
        inputs = {
            "program": artifact.file_sha256(program),
            "photos": dataset_hash(database),
            "vectors": vectors,
            **kernels(),
        }

        def body(progress: Progress) -> index.Indexed:
            return index.build(program, database, out, vectors=vectors, force=True, progress=progress)

        def say(made: index.Indexed) -> str:
            threshold = "no threshold" if made.threshold is None else f"threshold {made.threshold:.3f}"
            return f"{made.photos} photos of {made.places} places, {made.mb:.2f} MB, {threshold}"

        self.stages.run("index", index.Indexed, inputs, [out], body, say)
        return out, visitors

    def visits(self, program: Path, places: Path, visitors: Dataset) -> list[Visit]:
        """What the app answers each visitor."""
        if not visitors.photos:
            return []
        runner = ProgramRunner(program, threads=2)
        described = np.stack([runner.describe(photo.path) for photo in visitors.photos])
        return visits(open_index(places), described, self.testing)

    def package(self, program: Path, places: Path, photos: list[Path]) -> tuple[Path, package.Packaged]:
        """The signed APK, with photos that are its examples and its self-test."""
        out, title = self.out / "demo.apk", self.plan.app.title
        inputs = {
            "program": artifact.file_sha256(program),
            "index": artifact.file_sha256(places),
            "title": title,
            "selftest": [artifact.file_sha256(photo) for photo in photos],
            "app": app_fingerprint(),
        }

        def body(progress: Progress) -> package.Packaged:
            return package.package(program, places, out, photos=photos, title=title, force=True)

        def say(made: package.Packaged) -> str:
            return f"{made.mb:.1f} MB, signed and checked"

        return out, self.stages.run("package", package.Packaged, inputs, [out], body, say)

    def emulate(self, apk: Path) -> list[SelfTestResult]:
        """The APK's own arm64 libraries on this machine, where qemu is; else a line that says so."""
        results: list[SelfTestResult] = []
        for cpu in _CPUS if self.plan.app.emulate else ():

            def body(progress: Progress, cpu: str = cpu) -> SelfTestResult:
                return package.emulated_test(apk, cpu=cpu)

            inputs = {"apk": artifact.file_sha256(apk), "cpu": cpu}
            try:
                results.append(
                    self.stages.run(f"emulated {cpu}", SelfTestResult, inputs, [], body, _say_emulated)
                )
            except MissingToolError as error:
                self.stages.note("emulated phone", f"left out: {error}")
                return results
        return results

    def latency(self, programs: dict[str, Path]) -> dict[str, Latency]:
        """Milliseconds of every program on this machine, timed in turn."""
        hashes = {name: artifact.file_sha256(path) for name, path in programs.items()}
        inputs: dict[str, Any] = {"programs": hashes, "machine": machine.describe(), **kernels()}

        def body(progress: Progress) -> Times:
            return Times(measure_latency(programs, runs=_LATENCY_RUNS))

        def say(made: Times) -> str:
            return f"fastest {min(time.median_ms for time in made.programs.values()):.1f} ms a photo"

        return self.stages.run("latency", Times, inputs, [], body, say).programs

    def profile(self, program: Path, source: Path, convolutions: str | None) -> ProgramTimes:
        """Milliseconds of every op and layer of a compressed program on this machine.

        Args:
            program: the ``.pte``.
            source: the compressed model it was made from.
            convolutions: what computes them, as :class:`pocketvlad.steps.export.Exported` has it.
        """
        inputs = {"program": artifact.file_sha256(program), "machine": machine.describe(), **kernels()}

        def body(progress: Progress) -> ProgramTimes:
            measured = profile_program(program, runs=_LATENCY_RUNS)
            layers = _layers_of(source, self.plan.app.semantics, convolutions)
            return ProgramTimes(measured.ops, layer_times(measured, layers))

        def say(made: ProgramTimes) -> str:
            return f"{made.ops[0].op} takes {100 * made.ops[0].share:.0f}% of the app's program"

        return self.stages.run("profile", ProgramTimes, inputs, [], body, say)


def _layers_of(source: Path, semantics: str | None, convolutions: str | None) -> tuple[str, ...]:
    """The packed layers of a compressed model in the order in which its program calls them."""
    model = load_compressed(source)
    packed = pack(model, semantics_of(model, semantics), convolutions or LUT)
    called = called_layers(packed, photo_example(model.config.preprocess))
    return tuple(_as_in(model.layers, name) for name in called)


def _as_in(layers: Collection[str], name: str) -> str:
    """A packed module's name as its model has the layer; that of a whole head stays."""
    parts = name.split(".")
    ends = (".".join(parts[at:]) for at in range(len(parts)))
    return next((end for end in ends if end in layers), name)


def _say_emulated(made: SelfTestResult) -> str:
    worst = min(picture.cosine for picture in made.pictures)
    return f"{'passed' if made.passed else 'FAILED'}, worst cosine to the host {worst:.6f}"


def split_places(dataset: Dataset, fit_split: str) -> tuple[Dataset, Dataset]:
    """Fitting and testing photos: no place is in both unless ``fit_split`` is ``all``.

    Raises:
        DatasetError: no query of the testing photos has a positive.
    """
    parts = (dataset, dataset)
    if fit_split != "all":
        parts = dataset.split(fit_split), dataset.split("odd" if fit_split == "even" else "even")
    if not any(query.positives for query in parts[1].queries):
        raise DatasetError(
            f"the testing places of {dataset.name} have no query with a right answer",
            allowed="places with two photos or more",
        )
    return parts

"""The stages of `pocketvlad run`, each skipped when its inputs and outputs have not changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np

from pocketvlad import artifact, machine
from pocketvlad.commands import Progress, Values
from pocketvlad.commands.files import dataset_hash, megabytes
from pocketvlad.commands.models import make_backbone
from pocketvlad.commands.phones import package_file
from pocketvlad.commands.programs import check_program, chosen_convolutions
from pocketvlad.commands.training import StateFolder, fine_tune
from pocketvlad.compress.compressed import CompressedModel, load_compressed, save_compressed
from pocketvlad.compress.post_training import compress_model
from pocketvlad.compress.recipe import Recipe, load_recipe
from pocketvlad.compress.sizes import layer_sizes
from pocketvlad.dataset import Dataset, merge, open_dataset
from pocketvlad.dataset.tensors import open_tensors
from pocketvlad.errors import DatasetError, MissingToolError, RecipeError
from pocketvlad.evaluate.describe import describe_photos
from pocketvlad.evaluate.retrieval import evaluate_descriptors, metric_name
from pocketvlad.export.program import export_model
from pocketvlad.index import build_index, split_visitors, write_index
from pocketvlad.lut import ops
from pocketvlad.model.fit import fit_model
from pocketvlad.model.netvlad import ModelConfig, PlaceModel, load_model, save_model
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.pipeline.log import StageLog
from pocketvlad.pipeline.plan import Plan
from pocketvlad.runtime.latency import measure_latency
from pocketvlad.runtime.profile import profile_program
from pocketvlad.runtime.runner import ProgramRunner

BASELINE = "float32"
_CHECK_PHOTOS = 4
_SELFTEST_PHOTOS = 3
_LATENCY_RUNS = 15
_CPUS = ("max", "cortex-a53")


class StageLine(Protocol):
    """What the command line shows of a running stage."""

    text: str
    ran: bool
    report: Progress


class Stages(Protocol):
    """Opens a line per stage."""

    def stage(self, name: str) -> AbstractContextManager[StageLine]: ...


class Run:
    """One run of a plan into a folder."""

    def __init__(self, plan: Plan, out: Path, stages: Stages):
        self.plan, self.out, self.stages = plan, out, stages
        out.mkdir(parents=True, exist_ok=True)
        self.log = StageLog(out)
        self.dataset = merge([open_dataset(plan.dataset_spec(spec)) for spec in plan.photos.datasets])
        self.fitting, self.testing = split_places(self.dataset, plan.photos.fit)
        self.recipes = {name: self._recipe(name) for name in plan.compress.recipes}
        self.figures: dict[str, Values] = {}

    def _recipe(self, name: str) -> Recipe:
        return load_recipe(self.plan.resolve(name) if name.endswith(".toml") else name)

    def stage(
        self, name: str, inputs: Values, outputs: Sequence[Path], body: Callable[[StageLine], Values]
    ) -> Values:
        with self.stages.stage(name) as line:
            figures, line.ran = self.log.run(name, inputs, outputs, lambda: body(line))
            line.text = figures.get("line", "")
        self.figures[name] = figures
        return figures

    def model(self) -> Path:
        """The uncompressed model: imported whole, or fitted on the fitting places."""
        out, plan = self.out / "model.safetensors", self.plan.model
        source = self.plan.resolve(plan.checkpoint) if plan.checkpoint else None
        inputs = {
            "model": {key: str(value) for key, value in asdict(plan).items()},
            "checkpoint": artifact.file_sha256(source) if source and source.is_file() else str(source),
            "photos": dataset_hash(self.fitting),
        }

        def body(line: StageLine) -> Values:
            model, skipped = self._make_model(source, line)
            save_model(out, model, {"plan": inputs["model"], "photos": len(self.fitting.photos)}, force=True)
            count = sum(parameter.numel() for parameter in model.parameters())
            text = f"{model.config.backbone}, {count / 1e6:.1f}M weights, {megabytes(out):.1f} MB"
            return {"weights": count, "skipped": skipped, "line": text}

        self.stage("model", inputs, [out], body)
        return out

    def _make_model(self, source: Path | None, line: StageLine) -> tuple[PlaceModel, list[str]]:
        from pocketvlad.importer import import_checkpoint

        plan, name = self.plan.model, self.plan.model.backbone
        if source is not None:
            imported = import_checkpoint(source)
            if imported.model is not None:
                return imported.model, []
            name = imported.backbone.name if imported.backbone else name
        config = ModelConfig(name or "", plan.clusters, plan.dim or None, Preprocess(plan.height, plan.width))
        paths = [photo.path for photo in self.fitting.photos]
        backbone = make_backbone(config, source, paths, plan.seed)
        return fit_model(
            config, backbone, paths, views=plan.views or None, seed=plan.seed, progress=line.report
        )

    def compressed(self, model: Path, name: str) -> Path:
        """One recipe applied to the model; photos that calibrate and train are fitting photos."""
        out, recipe = self.out / f"{slug(name)}.safetensors", self.recipes[name]
        inputs = {"model": artifact.file_sha256(model), "recipe": asdict(recipe)}
        if recipe.needs_photos or recipe.needs_labels:
            inputs["photos"] = dataset_hash(self.fitting)

        def body(line: StageLine) -> Values:
            compressed = self._compress(model, recipe, out, line.report)
            made_from = {"model": inputs["model"], "recipe": recipe.name}
            save_compressed(out, compressed, made_from, force=True)
            StateFolder(out).remove()
            layers = [size.as_row() for size in layer_sizes(compressed)]
            return {"layers": layers, "line": f"{megabytes(out):.2f} MB of codes and codebooks"}

        self.stage(f"compress {name}", inputs, [out], body)
        return out

    def _compress(self, model: Path, recipe: Recipe, out: Path, progress: Progress) -> CompressedModel:
        if recipe.needs_labels:
            trained = fine_tune(model, recipe, self.fitting, out, afresh=True, progress=progress)
            if trained is None:
                raise RecipeError("a plan runs in one process", do="train with `pocketvlad compress`")
            return trained.compressed
        source, calibration = load_model(model), None
        if recipe.needs_photos:
            calibration = open_tensors(self.fitting, source.config.preprocess).calibration()
        return compress_model(source, recipe, calibration=calibration, progress=progress)

    def program(self, source: Path, name: str) -> Path:
        """The ``.pte`` of a model, checked against torch on photos."""
        out = self.out / f"{slug(name)}.pte"
        semantics = self.plan.app.semantics
        inputs = {"source": artifact.file_sha256(source), "semantics": semantics, "ops": ops.VERSION}

        def body(line: StageLine) -> Values:
            kind = artifact.load_info(source)["kind"]
            model: PlaceModel | CompressedModel = (
                load_compressed(source) if kind == "compressed" else load_model(source)
            )
            made_from = {"file": source.name, "sha256": inputs["source"]}
            photos = [photo.path for photo in self.fitting.photos[:_CHECK_PHOTOS]]
            preprocess = model.config.preprocess
            with artifact.atomic_path(out, force=True) as temporary:
                export_model(model, temporary, semantics=semantics, made_from=made_from, force=True)
                cosine = check_program(temporary, model, photos, preprocess, semantics)
            line_text = f"{megabytes(out):.2f} MB, cosine to torch {cosine:.5f}"
            return {"cosine": cosine, **chosen_convolutions(out), "line": line_text}

        self.stage(f"program {name}", inputs, [out], body)
        return out

    def descriptors(self, program: Path, name: str) -> np.ndarray:
        """Descriptors of the testing photos by the program itself, float32 [n, dim]."""
        out = self.out / f"{slug(name)}.descriptors.npy"
        inputs = {"program": artifact.file_sha256(program), "photos": dataset_hash(self.testing)}

        def body(line: StageLine) -> Values:
            runner = ProgramRunner(program, threads=2)
            found, readable = describe_photos(runner.describe, self.testing, progress=line.report)
            if len(readable.photos) != len(self.testing.photos):
                raise DatasetError(
                    "testing photos cannot be read", found=readable.skipped[-1], do="remove them"
                )
            with artifact.atomic_path(out, force=True) as temporary, open(temporary, "wb") as file:
                np.save(file, found)
            result = evaluate_descriptors(self.testing, found)
            score = f"{metric_name(result.metric)} {100 * result.score:.1f}"
            return {"line": f"{score} on {len(result.queries)} queries"}

        self.stage(f"evaluate {name}", inputs, [out], body)
        return np.load(out)

    def index(self, program: Path) -> tuple[Path, list[Path]]:
        """The app's index of the testing places, and the visitor's photos left out of it."""
        out = self.out / "places.pvix"
        database, visitors = split_visitors(self.testing)
        vectors = self.plan.app.vectors
        inputs = {
            "program": artifact.file_sha256(program),
            "photos": dataset_hash(database),
            "vectors": vectors,
        }

        def body(line: StageLine) -> Values:
            runner = ProgramRunner(program, threads=2)
            info = {"program": inputs["program"], "plan": self.plan.app.title}
            index, skipped = build_index(
                runner.describe,
                database,
                runner.info.fingerprint,
                dtype=vectors,
                info=info,
                progress=line.report,
            )
            write_index(out, index, force=True)
            threshold = "none" if index.threshold is None else f"{index.threshold:.3f}"
            places = len(index.places())
            text = f"{len(index)} photos of {places} places, {megabytes(out):.2f} MB, threshold {threshold}"
            return {"photos": len(index), "threshold": index.threshold, "skipped": skipped, "line": text}

        self.stage("index", inputs, [out], body)
        return out, [photo.path for photo in visitors.photos]

    def package(self, program: Path, index: Path, visitors: Sequence[Path]) -> Path:
        """The signed APK, with some of the visitor's photos as its self-test."""
        out = self.out / "demo.apk"
        photos = list(visitors[:: max(1, len(visitors) // _SELFTEST_PHOTOS)])[:_SELFTEST_PHOTOS]
        inputs = {
            "program": artifact.file_sha256(program),
            "index": artifact.file_sha256(index),
            "title": self.plan.app.title,
            "selftest": [path.name for path in photos],
        }

        def body(line: StageLine) -> Values:
            values = package_file(
                program, index, out, photos, self.plan.app.title, keystore=None, password=None, force=True
            )
            return {**values, "line": f"{megabytes(out):.1f} MB, signed and checked"}

        self.stage("package", inputs, [out], body)
        return out

    def emulate(self, apk: Path) -> list[Values]:
        """The APK's own arm64 libraries on this machine, where qemu is; else a line that says so."""
        from pocketvlad.android.emulate import run_selftest

        if not self.plan.app.emulate:
            return []
        results: list[Values] = []
        for cpu in _CPUS:

            def body(line: StageLine, cpu: str = cpu) -> Values:
                result = run_selftest(apk, cpu=cpu)
                worst = min(picture["cosine"] for picture in result["pictures"])
                text = f"{'passed' if result['passed'] else 'FAILED'}, worst cosine to the host {worst:.6f}"
                return {**result, "line": text}

            inputs = {"apk": artifact.file_sha256(apk), "cpu": cpu}
            try:
                results.append(self.stage(f"emulated {cpu}", inputs, [], body))
            except MissingToolError as error:
                with self.stages.stage("emulated phone") as line:
                    line.ran, line.text = False, f"left out: {error}"
                return results
        return results

    def latency(self, programs: dict[str, Path]) -> Values:
        """Milliseconds of every program on this machine, timed in turn."""
        inputs = {"programs": {name: artifact.file_sha256(path) for name, path in programs.items()}}

        def body(line: StageLine) -> Values:
            times = measure_latency(programs, runs=_LATENCY_RUNS)
            fastest = min(time.median_ms for time in times.values())
            return {
                "times": {name: asdict(time) for name, time in times.items()},
                "line": f"fastest {fastest:.1f} ms a photo",
            }

        return self.stage("latency", inputs | {"machine": machine.describe()}, [], body)["times"]

    def ops(self, program: Path) -> list[Values]:
        """Milliseconds of every op of a program on this machine."""
        inputs = {"program": artifact.file_sha256(program), "machine": machine.describe()}

        def body(line: StageLine) -> Values:
            found = profile_program(program, runs=_LATENCY_RUNS)
            longest = found[0]
            text = f"{longest.op} takes {100 * longest.share:.0f}% of the app's program"
            return {"ops": [asdict(row) for row in found], "line": text}

        return self.stage("profile", inputs, [], body)["ops"]


def split_places(dataset: Dataset, fit: str) -> tuple[Dataset, Dataset]:
    """Fitting and testing photos: no place is in both unless ``fit`` is ``all``."""
    if fit == "all":
        return dataset, dataset
    return dataset.split(fit), dataset.split("odd" if fit == "even" else "even")


def slug(name: str) -> str:
    """A recipe's name as a file name."""
    return Path(name).stem if name.endswith(".toml") else name

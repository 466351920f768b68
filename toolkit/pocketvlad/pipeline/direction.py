"""One direction of the paper's table: a model fitted (and fine-tuned) on one dataset, its rows measured on another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocketvlad import artifact
from pocketvlad.compress.compressed import Compressed, save_compressed
from pocketvlad.compress.post_training import compress_weights
from pocketvlad.compress.recipe import Recipe
from pocketvlad.compress.sizes import LayerSize, layer_sizes
from pocketvlad.compress.train.photos import TrainingPhotos
from pocketvlad.compress.train.trained import train_compressed
from pocketvlad.compress.train.trainer import Trainer
from pocketvlad.dataset import Dataset
from pocketvlad.dataset.tensors import open_tensors
from pocketvlad.errors import RecipeError
from pocketvlad.evaluate.metrics import Difference, metric_name
from pocketvlad.evaluate.retrieval import RetrievalResult, compare, evaluate_descriptors
from pocketvlad.export.pack import EXACT
from pocketvlad.model.network import Network, load_model
from pocketvlad.pipeline.paper import L1, THRESHOLDS, l1_recipe, row_recipe
from pocketvlad.pipeline.pictures import answers_picture, histogram_picture, shown_layers
from pocketvlad.pipeline.plan import BASELINE
from pocketvlad.pipeline.run import Accuracy
from pocketvlad.pipeline.stages import StageRunner, Stages, kernels
from pocketvlad.progress import Progress
from pocketvlad.report.reproduction import Counted, DirectionResult, PaperNetwork, PaperRow, Row
from pocketvlad.runtime.describer import open_describer
from pocketvlad.steps import export, fit
from pocketvlad.steps.common import dataset_hash
from pocketvlad.steps.describe import describe_by
from pocketvlad.steps.fit_options import FitOptions

_PICTURED_RATIO = 12.0  # the paper's figure shows a model about 12 times smaller


@dataclass(frozen=True)
class ReproduceOptions:
    """What `pocketvlad reproduce` is asked.

    Attributes:
        train, test: ``KIND:PATH``; the model is fitted and fine-tuned on one, measured on the other.
        fit: the fitted model.
        model: a whole model file instead, which is then not fitted.
        both_ways: also the other way round.
        match: ``thresholds`` or ``pruned``, see :func:`pocketvlad.pipeline.paper.row_recipe`.
        steps: of fine-tuning; 0: post-training compression alone.
        l1: lambda of the run behind the weight histograms.
        threads: of the programs.
    """

    train: str
    test: str
    fit: FitOptions
    model: Path | None = None
    both_ways: bool = False
    match: str = THRESHOLDS
    steps: int = 0
    l1: float = L1
    threads: int = 2


@dataclass(frozen=True)
class _Drawn:
    """What a histogram shows."""

    l1: float
    steps: int


class Direction:
    """One direction's stages, in a folder of their own."""

    def __init__(
        self,
        options: ReproduceOptions,
        folder: Path,
        stages: Stages,
        prefix: str,
        train: Dataset,
        test: Dataset,
    ):
        self.options, self.folder, self.train, self.test = options, folder, train, test
        self.stages = StageRunner(folder, stages, prefix)
        self.hashes = {"train": dataset_hash(train), "test": dataset_hash(test)}
        self.trains = bool(options.steps)

    def run(self, network: PaperNetwork) -> DirectionResult:
        """All stages of this direction."""
        model = self.model()
        weights = 4 * sum(parameter.numel() for parameter in load_model(model).parameters())
        base = self.program(model, BASELINE)
        before = evaluate_descriptors(self.test, self.descriptors(base, BASELINE))
        rows = tuple(self._row(row, model, before) for row in network.rows)
        ratios = {row.name: base.stat().st_size / row.program_bytes for row in rows}
        pictured = min(ratios, key=lambda name: abs(ratios[name] - _PICTURED_RATIO))
        pictures = [self.matches(pictured, ratios[pictured])]
        if self.trains:
            pictures.append(self.histograms(model))
        return DirectionResult(
            train=self.train.name,
            test=self.test.name,
            metric=metric_name(before.metric),
            queries=len(before.queries),
            score=100 * before.score,
            weights_bytes=weights,
            program_bytes=base.stat().st_size,
            rows=rows,
            pictured=pictured,
            l1=self.options.l1 if self.trains else None,
            pictures=tuple(str(path) for path in pictures),
            skipped=(*self.train.skipped, *self.test.skipped),
        )

    def model(self) -> Path:
        """The uncompressed model: the file given, or one fitted on the training photos."""
        given, options = self.options.model, self.options.fit
        if given is not None:
            found = load_model(given).config.backbone
            if found != options.backbone:
                raise RecipeError(f"{given} has another backbone", found=found, allowed=options.backbone)
            return given
        out = self.folder / "model.safetensors"
        values = {key: str(value) for key, value in vars(options).items() if key != "weights"}
        inputs = {"weights": options.weights_sha256(), "photos": self.hashes["train"], **values}

        def body(progress: Progress) -> fit.Fitted:
            return fit.fit(self.train, out, options, force=True, progress=progress)

        def say(made: fit.Fitted) -> str:
            return f"fitted on {made.photos} photos, {made.mb:.1f} MB"

        self.stages.notes("weights", self.stages.run("model", fit.Fitted, inputs, [out], body, say).notes)
        return out

    def _row(self, row: PaperRow, model: Path, before: RetrievalResult) -> Row:
        recipe = row_recipe(row, self.options.match, self.options.steps, self.options.fit.seed)
        compressed, counted = self.compressed(model, recipe, row.name)
        program = self.program(compressed, row.name)
        change = compare(before, evaluate_descriptors(self.test, self.descriptors(program, row.name)))
        score = 100 * before.score + change.mean
        drop = Difference(-change.mean, -change.high, -change.low)
        return Row(row.name, row, score, drop, program.stat().st_size, counted)

    def compressed(self, model: Path, recipe: Recipe, name: str) -> tuple[Path, Counted]:
        """The model compressed, and fine-tuned where steps are asked; its file and what it counts."""
        out = self.folder / f"{name}.safetensors"
        inputs: dict[str, Any] = {"model": artifact.file_sha256(model), "recipe": recipe.key()}
        if self.trains:
            inputs["photos"] = self.hashes["train"]

        def body(progress: Progress) -> Counted:
            source = load_model(model)
            compressed = compress_weights(source, recipe, progress=None if self.trains else progress)
            if self.trains:
                compressed = self._fine_tuned(source, compressed, recipe, name, progress)
            save_compressed(out, compressed, {"model": inputs["model"], "recipe": recipe.name}, force=True)
            return counted_sizes(compressed)

        def say(made: Counted) -> str:
            return f"{made.pruned:.1f}% pruned, {made.codes_bytes / 1e6:.2f} MB of codes"

        return out, self.stages.run(name, Counted, inputs, [out], body, say)

    def _fine_tuned(
        self, model: Network, start: Compressed, recipe: Recipe, name: str, progress: Progress
    ) -> Compressed:
        state = self.folder / f"{name}.state"
        photos = training_photos(self.train, model)
        trained = train_compressed(
            model, start, recipe, photos, state=state, progress=lambda p: progress(p.step, p.steps)
        )
        state.unlink(missing_ok=True)
        return trained

    def program(self, source: Path, name: str) -> Path:
        """The ``.pte`` of a model file, with the exact kernels: what is lost is the compression's alone."""
        out = self.folder / f"{name}.pte"
        inputs = {"source": artifact.file_sha256(source), **kernels()}

        def body(progress: Progress) -> export.Exported:
            return export.export(source, out, semantics=EXACT, force=True)

        def say(made: export.Exported) -> str:
            return f"{made.mb:.2f} MB"

        self.stages.run(f"program {name}", export.Exported, inputs, [out], body, say)
        return out

    def descriptors(self, program: Path, name: str) -> np.ndarray:
        """Descriptors of the test photos by the program itself, float32 [n, dim]."""
        out = self.folder / f"{name}.npy"
        inputs = {"program": artifact.file_sha256(program), "photos": self.hashes["test"], **kernels()}

        def body(progress: Progress) -> Accuracy:
            describer = open_describer(program, threads=self.options.threads)
            result = evaluate_descriptors(self.test, describe_by(describer, self.test, out, progress))
            return Accuracy(metric_name(result.metric), 100 * result.score, len(result.queries))

        def say(made: Accuracy) -> str:
            return f"{made.metric} {made.score:.1f}"

        self.stages.run(f"evaluate {name}", Accuracy, inputs, [out], body, say)
        return np.load(out)

    def matches(self, name: str, ratio: float) -> Path:
        """The paper's picture: queries, right answers, the uncompressed and the compressed model's answers."""
        out = self.folder / "matches.png"
        before, after = (np.load(self.folder / f"{each}.npy") for each in (BASELINE, name))
        artifact.write_bytes(out, answers_picture(self.test, before, after, ratio), force=True)
        return out

    def histograms(self, model: Path) -> Path:
        """Weights of the first, the largest convolution and the last layer before and after L1 training."""
        out, options = self.folder / "weights.svg", self.options
        recipe = l1_recipe(options.l1, options.steps, options.fit.seed)
        inputs = {
            "model": artifact.file_sha256(model),
            "recipe": recipe.key(),
            "photos": self.hashes["train"],
        }

        def body(progress: Progress) -> _Drawn:
            source = load_model(model)
            start = compress_weights(source, recipe)
            photos = training_photos(self.train, source)
            trainer = Trainer(source, start, recipe, photos, torch.device("cpu"))
            for step in range(options.steps):
                trainer.run_step()
                progress(step + 1, options.steps)
            pairs = {
                name: (stored_weight(source, name), stored_weight(trainer.model.layer(name)))
                for name in shown_layers(start)
            }
            artifact.write_bytes(out, histogram_picture(pairs), force=True)
            return _Drawn(options.l1, options.steps)

        def say(made: _Drawn) -> str:
            return f"lambda {made.l1:g}, {made.steps} steps"

        self.stages.run("L1 histograms", _Drawn, inputs, [out], body, say)
        return out


def counted_sizes(compressed: Compressed) -> Counted:
    """As the paper counts, over its layers: the head's constants are not among them."""
    layers: Sequence[LayerSize] = [
        size for size in layer_sizes(compressed) if size.layer not in compressed.constants
    ]
    weights = sum(size.weights for size in layers)
    pruned = sum(size.pruned * size.weights for size in layers)
    return Counted(100 * pruned / weights, sum(size.mask + size.codes for size in layers))


def stored_weight(module: torch.nn.Module, name: str = "") -> np.ndarray:
    """The weight of a layer of ``module`` by the layer's name."""
    return module.get_submodule(name).get_parameter("weight").detach().cpu().numpy().ravel()


def training_photos(dataset: Dataset, model: Network) -> TrainingPhotos:
    """A dataset's ground truth as what the triplet loss learns from."""
    tensors = open_tensors(dataset, model.config.preprocess)
    return TrainingPhotos(tensors.tensor, len(tensors), tensors.dataset.queries)

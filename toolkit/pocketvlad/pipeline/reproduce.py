"""`pocketvlad reproduce`: the paper's table on any pair of datasets, resumable row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from pocketvlad import artifact, machine
from pocketvlad.commands import Values
from pocketvlad.commands.files import dataset_hash, megabytes, parse_size
from pocketvlad.commands.models import make_backbone
from pocketvlad.compress.compressed import CompressedModel, load_compressed, save_compressed
from pocketvlad.compress.post_training import compress_weights
from pocketvlad.compress.recipe import Recipe, one_of
from pocketvlad.compress.sizes import LayerSize, layer_sizes
from pocketvlad.compress.train.photos import TrainingPhotos
from pocketvlad.compress.train.trained import train_compressed
from pocketvlad.compress.train.trainer import Trainer
from pocketvlad.dataset import Dataset, open_dataset
from pocketvlad.dataset.tensors import load_region, open_tensors
from pocketvlad.errors import DatasetError, PhotoError, RecipeError
from pocketvlad.evaluate.describe import describe_photos
from pocketvlad.evaluate.retrieval import RetrievalResult, compare, evaluate_descriptors, metric_name
from pocketvlad.export.fold import EXACT
from pocketvlad.export.program import export_model
from pocketvlad.model.fit import fit_model
from pocketvlad.model.netvlad import ModelConfig, PlaceModel, load_model, save_model
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.pipeline.log import StageLog
from pocketvlad.pipeline.paper import L1, MATCHES, THRESHOLDS, PaperRow, l1_recipe, paper_network, row_recipe
from pocketvlad.pipeline.paper_pictures import answers_picture, histogram_picture, shown_layers
from pocketvlad.pipeline.stages import BASELINE, StageLine, Stages
from pocketvlad.report.paper import markdown
from pocketvlad.runtime.runner import ProgramRunner

_PICTURED_RATIO = 12.0  # the paper's figure shows a model about 12 times smaller


@dataclass(frozen=True)
class ReproduceOptions:
    """What `pocketvlad reproduce` is asked.

    Attributes:
        backbone: torchvision's name.
        weights: of the backbone; None builds it from the training photos.
        model: a whole model file instead, which is then not fitted.
        train, test: ``KIND:PATH``; the model is fitted and fine-tuned on one, measured on the other.
        both_ways: also the other way round.
        match: ``thresholds`` or ``pruned``, see :func:`pocketvlad.pipeline.paper.row_recipe`.
        steps: of fine-tuning; 0: post-training compression alone.
        clusters, dim, size: of the fitted model: K, dimensions after whitening (0: none), HxW.
        l1: lambda of the run behind the weight histograms.
        seed: of every random choice.
        threads: of the programs.
    """

    backbone: str
    weights: Path | None
    model: Path | None
    train: str
    test: str
    both_ways: bool = False
    match: str = THRESHOLDS
    steps: int = 0
    clusters: int = 64
    dim: int = 512
    size: str = "480x640"
    l1: float = L1
    seed: int = 0
    threads: int = 2


def reproduce(options: ReproduceOptions, out: Path, stages: Stages) -> Values:
    """Every row of the paper's table for one backbone.

    Writes ``reproduce.json``, ``table.md``, and in a folder per direction the models, programs,
    ``weights.svg`` (histograms before and after L1) and ``matches.png``.

    Args:
        options: what is asked.
        out: the folder; a second run there goes on from the first unfinished row.
        stages: where progress is shown.

    Returns:
        What ``reproduce.json`` holds.

    Raises:
        PocketvladError: an option, dataset or file that cannot be used.
    """
    one_of("reproduce", "--match", options.match, MATCHES)
    pairs = [(options.train, options.test)]
    if options.both_ways:
        pairs.append((options.test, options.train))
    datasets = {spec: readable(open_dataset(spec)) for spec in (options.train, options.test)}
    ways = []
    for number, (train, test) in enumerate(pairs, 1):
        folder = out / f"way-{number}"
        ways.append(Way(options, folder, stages, datasets[train], datasets[test]).run())
    network = paper_network(options.backbone)
    values: Values = {
        "backbone": options.backbone,
        "paper": asdict(network),
        "options": {key: str(value) for key, value in asdict(options).items()},
        "ways": ways,
        "machine": machine.describe(),
        "versions": artifact.versions(),
    }
    values["files"] = [str(out / name) for name in ("reproduce.json", "table.md")]
    values["files"] += [str(path) for way in ways for path in way["pictures"]]
    artifact.write_json(out / "reproduce.json", values, force=True)
    artifact.write_bytes(out / "table.md", markdown(values).encode(), force=True)
    return values


class Way:
    """One direction: a model fitted (and fine-tuned) on ``train``, its compressed rows measured on ``test``."""

    def __init__(
        self, options: ReproduceOptions, folder: Path, stages: Stages, train: Dataset, test: Dataset
    ):
        self.options, self.folder, self.stages = options, folder, stages
        self.train, self.test = train, test
        folder.mkdir(parents=True, exist_ok=True)
        self.log = StageLog(folder)
        self.prefix = f"{folder.name} " if options.both_ways else ""
        self.hashes = {"train": dataset_hash(train), "test": dataset_hash(test)}
        self.trains = bool(options.steps)

    def run(self) -> Values:
        """All stages of this direction; returns its part of ``reproduce.json``."""
        model = self.model()
        base_bytes = 4 * sum(parameter.numel() for parameter in load_model(model).parameters())
        base = self.program(model, BASELINE)
        before = evaluate_descriptors(self.test, self.descriptors(base, BASELINE))
        rows = []
        for row in paper_network(self.options.backbone).rows:
            rows.append(self._row(row, model, before))
        values: Values = {
            "train": self.train.name,
            "test": self.test.name,
            "metric": before.metric,
            "queries": len(before.queries),
            "score": 100 * before.score,
            "weights_bytes": base_bytes,
            "program_bytes": base.stat().st_size,
            "rows": rows,
            "skipped": [*self.train.skipped, *self.test.skipped],
        }
        ratios = {row["name"]: base.stat().st_size / row["program_bytes"] for row in rows}
        pictured = min(ratios, key=lambda name: abs(ratios[name] - _PICTURED_RATIO))
        pictures = [self.matches(pictured, ratios[pictured])]
        if self.trains:
            pictures.append(self.histograms(model))
        values["pictured"] = pictured
        values["l1"] = self.options.l1 if self.trains else None
        values["pictures"] = [str(path) for path in pictures]
        return values

    def stage(
        self, name: str, inputs: Values, outputs: Sequence[Path], body: Callable[[StageLine], Values]
    ) -> Values:
        """A stage shown with this direction's name and run only when its inputs have changed."""
        with self.stages.stage(self.prefix + name) as line:
            found, line.ran = self.log.run(name, inputs, outputs, lambda: body(line))
            line.text = found.get("line", "")
        return found

    def model(self) -> Path:
        """The uncompressed model: the file given, or one fitted on the training photos."""
        options = self.options
        if options.model is not None:
            found = load_model(options.model).config.backbone
            if found != options.backbone:
                raise RecipeError(
                    f"{options.model} has another backbone", found=found, allowed=options.backbone
                )
            return options.model
        out = self.folder / "model.safetensors"
        weights = artifact.file_sha256(options.weights) if options.weights else "the photos"
        inputs: Values = {"weights": weights, "photos": self.hashes["train"]}
        inputs |= {key: getattr(options, key) for key in ("backbone", "clusters", "dim", "size", "seed")}

        def body(line: StageLine) -> Values:
            height, width = parse_size(options.size)
            config = ModelConfig(
                options.backbone, options.clusters, options.dim or None, Preprocess(height, width)
            )
            paths = [photo.path for photo in self.train.photos]
            backbone = make_backbone(config, options.weights, paths, options.seed)
            model, _ = fit_model(config, backbone, paths, seed=options.seed, progress=line.report)
            save_model(out, model, inputs, force=True)
            return {"line": f"fitted on {len(paths)} photos, {megabytes(out):.1f} MB"}

        self.stage("model", inputs, [out], body)
        return out

    def _row(self, row: PaperRow, model: Path, before: RetrievalResult) -> Values:
        """One line of the table: what the paper has and what the program of this setting does here."""
        recipe = row_recipe(row, self.options.match, self.options.steps, self.options.seed)
        compressed, sizes = self.compressed(model, recipe, row.name)
        program = self.program(compressed, row.name)
        after = evaluate_descriptors(self.test, self.descriptors(program, row.name))
        change = compare(before, after)
        return {
            "name": row.name,
            "paper": asdict(row),
            "score": 100 * after.score,
            "drop": {"mean": -change.mean, "low": -change.high, "high": -change.low},
            "program_bytes": program.stat().st_size,
            **sizes,
        }

    def compressed(self, model: Path, recipe: Recipe, name: str) -> tuple[Path, Values]:
        """The model compressed, and fine-tuned where steps are asked; its file and what it counts."""
        out = self.folder / f"{name}.safetensors"
        inputs: Values = {"model": artifact.file_sha256(model), "recipe": asdict(recipe)}
        if self.trains:
            inputs["photos"] = self.hashes["train"]

        def body(line: StageLine) -> Values:
            source = load_model(model)
            compressed = compress_weights(source, recipe, progress=None if self.trains else line.report)
            if self.trains:
                compressed = self._fine_tuned(source, compressed, recipe, name, line)
            save_compressed(out, compressed, {"model": inputs["model"], "recipe": recipe.name}, force=True)
            counted = counted_sizes(layer_sizes(compressed))
            text = f"{counted['pruned']:.1f}% pruned, {counted['codes_bytes'] / 1e6:.2f} MB of codes"
            return {**counted, "line": text}

        found = self.stage(name, inputs, [out], body)
        return out, {key: found[key] for key in ("pruned", "codes_bytes")}

    def _fine_tuned(
        self, model: PlaceModel, start: CompressedModel, recipe: Recipe, name: str, line: StageLine
    ) -> CompressedModel:
        state = self.folder / f"{name}.state"
        photos = training_photos(self.train, model.config)
        trained = train_compressed(
            model, start, recipe, photos, state=state, progress=lambda p: line.report(p.step, p.steps)
        )
        state.unlink(missing_ok=True)
        return trained

    def program(self, source: Path, name: str) -> Path:
        """The ``.pte`` of a model file, with the exact kernels: what is lost is the compression's alone."""
        out = self.folder / f"{name}.pte"
        inputs = {"source": artifact.file_sha256(source)}

        def body(line: StageLine) -> Values:
            kind = artifact.load_info(source)["kind"]
            model = load_compressed(source) if kind == "compressed" else load_model(source)
            export_model(model, out, semantics=EXACT, made_from=inputs, force=True)
            return {"line": f"{megabytes(out):.2f} MB"}

        self.stage(f"program {name}", inputs, [out], body)
        return out

    def descriptors(self, program: Path, name: str) -> np.ndarray:
        """Descriptors of the test photos by the program itself, float32 [n, dim]."""
        out = self.folder / f"{name}.npy"
        inputs = {"program": artifact.file_sha256(program), "photos": self.hashes["test"]}

        def body(line: StageLine) -> Values:
            runner = ProgramRunner(program, threads=self.options.threads)
            found, _ = describe_photos(runner.describe, self.test, progress=line.report)
            with artifact.atomic_path(out, force=True) as temporary, open(temporary, "wb") as file:
                np.save(file, found)
            result = evaluate_descriptors(self.test, found)
            return {"line": f"{metric_name(result.metric)} {100 * result.score:.1f}"}

        self.stage(f"evaluate {name}", inputs, [out], body)
        return np.load(out)

    def matches(self, name: str, ratio: float) -> Path:
        """The paper's picture: queries, right answers, the uncompressed and the compressed model's answers."""
        out = self.folder / "matches.png"
        before, after = (np.load(self.folder / f"{each}.npy") for each in (BASELINE, name))
        artifact.write_bytes(out, answers_picture(self.test, before, after, ratio), force=True)
        return out

    def histograms(self, model: Path) -> Path:
        """Weights of the first, the largest convolution and the whitening before and after L1 training."""
        out, options = self.folder / "weights.svg", self.options
        recipe = l1_recipe(options.l1, options.steps, options.seed)
        inputs = {
            "model": artifact.file_sha256(model),
            "recipe": asdict(recipe),
            "photos": self.hashes["train"],
        }

        def body(line: StageLine) -> Values:
            source = load_model(model)
            photos = training_photos(self.train, source.config)
            start = compress_weights(source, recipe)
            trainer = Trainer(source, start, recipe, photos, torch.device("cpu"))
            for step in range(options.steps):
                trainer.run_step()
                line.report(step + 1, options.steps)
            pairs = {
                name: (stored_weight(source, name), stored_weight(trainer.model.layer(name)))
                for name in shown_layers(start)
            }
            artifact.write_bytes(out, histogram_picture(pairs), force=True)
            return {"line": f"lambda {options.l1:g}, {options.steps} steps"}

        self.stage("L1 histograms", inputs, [out], body)
        return out


def counted_sizes(sizes: Sequence[LayerSize]) -> Values:
    """As the paper counts: percentage of the layers' weights that are 0, bytes of their masks and codes.

    The cluster centres are not among the paper's layers.
    """
    layers = [size for size in sizes if size.layer != "pool.centroids"]
    weights = sum(size.weights for size in layers)
    pruned = sum(size.pruned * size.weights for size in layers)
    return {"pruned": 100 * pruned / weights, "codes_bytes": sum(size.mask + size.codes for size in layers)}


def stored_weight(module: torch.nn.Module, name: str = "") -> np.ndarray:
    """The weight of a layer of ``module`` by the layer's name."""
    return module.get_submodule(name).get_parameter("weight").detach().cpu().numpy().ravel()


def readable(dataset: Dataset) -> Dataset:
    """The photos that can be decoded, so that every program answers for the same ones.

    Raises:
        DatasetError: none can.
    """
    kept, skipped = [], []
    for number, photo in enumerate(dataset.photos):
        try:
            load_region(photo)
            kept.append(number)
        except PhotoError as error:
            skipped.append(str(error))
    if not kept:
        raise DatasetError(f"no photo of {dataset.name} can be read", found=skipped[0] if skipped else "none")
    if not skipped:
        return dataset
    return replace(dataset.subset(kept), skipped=(*dataset.skipped, *skipped))


def training_photos(dataset: Dataset, config: ModelConfig) -> TrainingPhotos:
    """A dataset's ground truth as what the triplet loss learns from."""
    tensors = open_tensors(dataset, config.preprocess)
    return TrainingPhotos(tensors.tensor, len(tensors.dataset.photos), tensors.dataset.queries)

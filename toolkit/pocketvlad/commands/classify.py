"""Plain classifiers: imported, compressed, exported, and their accuracy on labelled images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from pocketvlad import artifact
from pocketvlad.commands import Progress, Values
from pocketvlad.commands.files import megabytes
from pocketvlad.compress.classifier import (
    COMPRESSED_KIND,
    CompressedClassifier,
    compress_classifier,
    load_compressed_classifier,
    save_compressed_classifier,
)
from pocketvlad.compress.recipe import load_recipe
from pocketvlad.compress.sizes import layer_sizes
from pocketvlad.dataset import open_dataset
from pocketvlad.errors import ArtifactError, CheckpointError, ExportError, RecipeError
from pocketvlad.evaluate.classification import (
    ClassificationResult,
    compare_classifiers,
    evaluate_classifier,
    read_labels,
)
from pocketvlad.export.classifier import export_classifier
from pocketvlad.importer import BACKBONE_KIND, import_checkpoint
from pocketvlad.importer.torchvision import build_classifier
from pocketvlad.model.classifier import KIND, Classifier, load_classifier, save_classifier
from pocketvlad.model.preprocess import DecodedPhoto, photo_tensor
from pocketvlad.report import units
from pocketvlad.runtime.runner import ProgramRunner

AnyClassifier = Classifier | CompressedClassifier


@dataclass(frozen=True)
class Scorer:
    """Something that scores images.

    Attributes:
        classify: pixels of a central square -> scores float32 [classes].
        classes: how many.
    """

    classify: Callable[[DecodedPhoto], np.ndarray]
    classes: int


def open_classifier(path: Path) -> AnyClassifier | None:
    """A classifier from our own files or from torchvision's; None where the file is something else.

    Raises:
        CheckpointError: a checkpoint that cannot be read, or features without a classifier.
        ArtifactError: one of our files that is damaged.
    """
    if not path.is_file() or path.suffix == ".pte":
        return None
    kind = _kind(path)
    if kind == KIND:
        return load_classifier(path)
    if kind == COMPRESSED_KIND:
        return load_compressed_classifier(path)
    if kind not in (None, BACKBONE_KIND):
        return None
    imported = import_checkpoint(path)
    return None if imported.backbone is None else build_classifier(imported.backbone)


def _kind(path: Path) -> str | None:
    """Which of our files it is; None for anything else."""
    try:
        return artifact.load_info(path)["kind"]
    except ArtifactError:
        return None


def import_classifier_file(checkpoint: Path, out: Path, *, layout: str, force: bool) -> Values:
    """A torchvision checkpoint as a classifier, its head included."""
    imported = import_checkpoint(checkpoint, layout)
    if imported.backbone is None:
        raise CheckpointError(
            f"{checkpoint} is not a classifier", found=imported.layout, allowed="torchvision's networks"
        )
    classifier = build_classifier(imported.backbone)
    made_from = {"checkpoint": checkpoint.name, "sha256": artifact.file_sha256(checkpoint)}
    save_classifier(out, classifier, {**made_from, "layout": imported.layout}, force=force)
    config = classifier.config.to_json()
    return {"layout": imported.layout, "out": str(out), "mb": megabytes(out), "kind": KIND, **config}


def compress_classifier_file(
    source: Path,
    classifier: AnyClassifier,
    out: Path,
    recipe: str,
    *,
    budget: bool,
    force: bool,
    progress: Progress | None = None,
) -> Values:
    """Compress a classifier read from ``source``, post-training.

    Raises:
        RecipeError: it is compressed already, a budget is asked, or the recipe needs photos of places.
    """
    if isinstance(classifier, CompressedClassifier):
        raise RecipeError(f"{source} is compressed already", do="compress the classifier it was made from")
    if budget:
        raise RecipeError(
            "a budget cannot be searched for a classifier", do="leave out --max-drop and --max-mb"
        )
    compressed = compress_classifier(classifier, load_recipe(recipe), progress=progress)
    used = str(compressed.recipe["name"])
    made_from = {"model": artifact.file_sha256(source), "recipe": used}
    save_compressed_classifier(out, compressed, made_from, force=force)
    before = 4 * sum(parameter.numel() for parameter in classifier.parameters()) / 1e6
    return {
        "out": str(out),
        "kind": COMPRESSED_KIND,
        "mb": megabytes(out),
        "weights_mb": before,
        "ratio": before / megabytes(out),
        "recipe": used,
        "layers": [size.as_row() for size in layer_sizes(compressed)],
    }


def export_classifier_file(
    source: Path, classifier: AnyClassifier, out: Path, *, semantics: str, plain: bool, force: bool
) -> Values:
    """The program of a classifier; ``plain`` says that no size, convolutions or photos were asked.

    Raises:
        ExportError: a size, convolutions or photos to check on, which classifiers do not take.
    """
    if not plain:
        raise ExportError(
            "a classifier has its own input size, lookup convolutions, and no descriptors to check",
            do="leave out --size, --convolutions and --photos; `pocketvlad evaluate` measures the program",
        )
    made_from = {"file": source.name, "sha256": artifact.file_sha256(source)}
    export_classifier(classifier, out, semantics=semantics, made_from=made_from, force=force)
    preprocess = classifier.config.preprocess
    return {"out": str(out), "mb": megabytes(out), "size": f"{preprocess.height}x{preprocess.width}"}


def open_scorer(path: Path, *, threads: int) -> Scorer | None:
    """A classifier, compressed classifier or classifier program ready to score; None for anything else."""
    if path.suffix == ".pte" and path.is_file():
        runner = ProgramRunner(path, threads=threads)
        return None if runner.info.classes is None else Scorer(runner.describe, runner.info.classes)
    classifier = open_classifier(path)
    if classifier is None:
        return None
    module = classifier.to_torch() if isinstance(classifier, CompressedClassifier) else classifier
    config = classifier.config

    def classify(photo: DecodedPhoto) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(photo_tensor(photo, config.preprocess))[None])[0].numpy()

    return Scorer(classify, config.classes)


def evaluate_classifier_file(
    file: Path,
    scorer: Scorer,
    dataset: str,
    baseline: Path | None,
    labels: Path | None,
    *,
    threads: int,
    progress: Progress | None = None,
) -> Values:
    """Top-1 and top-5, beside those of a baseline where one is given.

    Raises:
        RecipeError: the baseline is no classifier, or one of other classes.
    """
    photos = open_dataset(dataset)
    numbers = None if labels is None else read_labels(labels)

    def score(one: Scorer) -> ClassificationResult:
        return evaluate_classifier(one.classify, photos, one.classes, labels=numbers, progress=progress)

    result = score(scorer)
    values: Values = {"file": str(file), "dataset": photos.name, "classes": scorer.classes}
    values |= {**result.as_values(), "skipped": list(result.skipped)}
    if baseline is None:
        return values
    before = open_scorer(baseline, threads=threads)
    if before is None or before.classes != scorer.classes:
        raise RecipeError(f"{baseline} is not a classifier of {scorer.classes} classes")
    reference = score(before)
    change = compare_classifiers(reference, result)
    values |= {f"baseline {key}": reference.as_values()[key] for key in ("top-1", "top-5")}
    values["change of top-1"] = (
        f"{units.signed(change.mean)} points ({units.spread(change.low, change.high)})"
    )
    return values | {"difference": asdict(change)}

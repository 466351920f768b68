"""Descriptors and accuracy of models, compressed models and programs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from pocketvlad.commands import Progress, Values
from pocketvlad.commands.classify import evaluate_classifier_file, open_scorer
from pocketvlad.dataset import Dataset, open_dataset
from pocketvlad.errors import RecipeError, printable
from pocketvlad.evaluate.describe import describe_photos, require_descriptor_file, write_descriptors
from pocketvlad.evaluate.retrieval import RetrievalResult, compare, evaluate_descriptors
from pocketvlad.runtime.describer import Describer, open_describer


def evaluate_file(
    file: Path,
    dataset: str,
    baseline: Path | None,
    *,
    classes: Path | None = None,
    threads: int,
    progress: Progress | None = None,
) -> Values:
    """Retrieval accuracy of a place model, or top-1 and top-5 of a classifier, with ``classes`` its labels."""
    scorer = open_scorer(file, threads=threads)
    if scorer is not None:
        return evaluate_classifier_file(
            file, scorer, dataset, baseline, classes, threads=threads, progress=progress
        )
    if classes is not None:
        raise RecipeError("--classes is for classifiers", found=f"{file}, which is none")
    describers = [open_describer(path, threads=threads) for path in (file, baseline) if path is not None]
    photos = open_dataset(dataset)
    result = score(describers[0], photos, progress=progress)
    values: Values = {
        "file": str(file),
        "dataset": printable(photos.name),
        **result.as_values(),
        "skipped": list(result.skipped),
    }
    if len(describers) > 1:
        reference = score(describers[1], photos, progress=progress)
        difference = compare(reference, result)
        values |= {"baseline": reference.as_values(), "difference": asdict(difference)}
    return values


def score(describer: Describer, dataset: Dataset, *, progress: Progress | None = None) -> RetrievalResult:
    """Retrieval accuracy of a model, compressed model or program on a dataset."""
    descriptors, readable = describe_photos(describer.describe, dataset, progress=progress)
    return evaluate_descriptors(readable, descriptors)


def describe_file(
    file: Path, photos: str, out: Path, *, threads: int, force: bool, progress: Progress | None = None
) -> Values:
    require_descriptor_file(out)
    describer, dataset = open_describer(file, threads=threads), open_dataset(photos)
    descriptors, readable = describe_photos(describer.describe, dataset, progress=progress)
    write_descriptors(out, [photo.name for photo in readable.photos], descriptors, force=force)
    skipped = list(readable.skipped)
    return {"out": str(out), "photos": len(descriptors), "dim": descriptors.shape[1], "skipped": skipped}

"""Descriptors and accuracy of models, compressed models and programs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from pocketvlad.commands import Progress, Values
from pocketvlad.dataset import Dataset, open_dataset
from pocketvlad.evaluate.describe import describe_photos, write_descriptors
from pocketvlad.evaluate.retrieval import RetrievalResult, compare, evaluate_descriptors
from pocketvlad.export.describer import Describer, open_describer


def evaluate_file(
    file: Path, dataset: str, baseline: Path | None, *, threads: int, progress: Progress | None = None
) -> Values:
    describers = [open_describer(path, threads=threads) for path in (file, baseline) if path is not None]
    photos = open_dataset(dataset)
    result, skipped = score(describers[0], photos, progress=progress)
    values: Values = {
        "file": str(file),
        "dataset": photos.name,
        **result.as_values(),
        "skipped_photos": skipped,
    }
    if len(describers) > 1:
        reference, _ = score(describers[1], photos, progress=progress)
        difference = compare(reference, result)
        values |= {"baseline": reference.as_values(), "difference": asdict(difference)}
    return values


def score(
    describer: Describer, dataset: Dataset, *, progress: Progress | None = None
) -> tuple[RetrievalResult, list[str]]:
    """Retrieval accuracy of a model, compressed model or program on a dataset, and the photos skipped."""
    descriptors, readable, skipped = describe_photos(describer.describe, dataset, progress=progress)
    return evaluate_descriptors(readable, descriptors), skipped


def describe_file(
    file: Path, photos: str, out: Path, *, threads: int, force: bool, progress: Progress | None = None
) -> Values:
    describer, dataset = open_describer(file, threads=threads), open_dataset(photos)
    descriptors, readable, skipped = describe_photos(describer.describe, dataset, progress=progress)
    write_descriptors(out, [photo.name for photo in readable.photos], descriptors, force=force)
    return {"out": str(out), "photos": len(descriptors), "dim": descriptors.shape[1], "skipped": skipped}

"""Descriptors and accuracy of models, compressed models and programs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from pocketvlad.commands import Progress, Values
from pocketvlad.dataset import Dataset, open_dataset
from pocketvlad.evaluate.describe import describe_photos, write_descriptors
from pocketvlad.evaluate.retrieval import RetrievalResult, compare, evaluate_descriptors
from pocketvlad.export.describer import open_describer


def describe_dataset(
    file: Path, dataset: Dataset, *, threads: int, progress: Progress | None = None
) -> tuple[np.ndarray, Dataset, list[str]]:
    """Descriptors float32 [n, dim] of a dataset's readable photos, that dataset, and the photos skipped."""
    return describe_photos(open_describer(file, threads=threads).describe, dataset, progress=progress)


def evaluate_file(
    file: Path, dataset: str, baseline: Path | None, *, threads: int, progress: Progress | None = None
) -> Values:
    photos = open_dataset(dataset)
    result, skipped = score(file, photos, threads=threads, progress=progress)
    values: Values = {
        "file": str(file),
        "dataset": photos.name,
        **result.as_values(),
        "skipped_photos": skipped,
    }
    if baseline is not None:
        reference, _ = score(baseline, photos, threads=threads, progress=progress)
        difference = compare(reference, result)
        values |= {"baseline": reference.as_values(), "difference": asdict(difference)}
    return values


def score(
    file: Path, dataset: Dataset, *, threads: int, progress: Progress | None = None
) -> tuple[RetrievalResult, list[str]]:
    """Retrieval accuracy of a model, compressed model or program on a dataset."""
    descriptors, readable, skipped = describe_dataset(file, dataset, threads=threads, progress=progress)
    return evaluate_descriptors(readable, descriptors), skipped


def describe_file(
    file: Path, photos: str, out: Path, *, threads: int, force: bool, progress: Progress | None = None
) -> Values:
    dataset = open_dataset(photos)
    descriptors, readable, skipped = describe_dataset(file, dataset, threads=threads, progress=progress)
    write_descriptors(out, [photo.name for photo in readable.photos], descriptors, force=force)
    return {"out": str(out), "photos": len(descriptors), "dim": descriptors.shape[1], "skipped": skipped}

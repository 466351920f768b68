"""Photos -> descriptors, in files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad import artifact
from pocketvlad.dataset import Dataset
from pocketvlad.errors import DatasetError
from pocketvlad.evaluate.describe import describe_photos
from pocketvlad.evaluate.descriptor_files import require_descriptor_file, write_descriptors
from pocketvlad.progress import Progress
from pocketvlad.runtime.describer import open_describer, require_places
from pocketvlad.steps.common import Result, dataset_of


@dataclass(frozen=True)
class Described(Result):
    """A file of descriptors.

    Attributes:
        out: the file written.
        photos, dim: how many, and the values of each.
        skipped: one line for each photo that could not be read.
    """

    out: str
    photos: int
    dim: int
    skipped: tuple[str, ...]


def describe(
    file: Path,
    photos: str | Path | Dataset,
    out: Path,
    *,
    half: bool = False,
    threads: int = 2,
    force: bool = False,
    progress: Progress | None = None,
) -> Described:
    """Describe photos by a model, compressed model or program and write the descriptors.

    Args:
        file: what describes.
        photos: that are described.
        out: ``.h5`` in hloc's layout, or ``.npz`` for NumPy.
        half: as float16.
        threads: of a program.
        force: overwrite ``out``.
        progress: called with photos done and in all.

    Raises:
        ArtifactError: ``out`` exists, or the file is a classifier.
        PhotoError: no photo could be read.
    """
    require_descriptor_file(out)
    artifact.require_new(out, force=force)
    dataset = dataset_of(photos)
    describer = require_places(open_describer(file, threads=threads), file)
    descriptors, readable = describe_photos(
        describer.describe, dataset, several=describer.several, progress=progress
    )
    write_descriptors(out, [photo.name for photo in readable.photos], descriptors, half=half, force=force)
    return Described(str(out), len(descriptors), descriptors.shape[1], readable.skipped)


def describe_all(
    describe: Callable[[Any], np.ndarray], dataset: Dataset, out: Path, progress: Progress | None = None
) -> np.ndarray:
    """Descriptors of every photo of a dataset, float32 [n, dim], kept as ``.npy``.

    Args:
        describe: a path, or decoded pixels where a photo has a box, -> unit descriptor float32 [dim].
        dataset: n photos.
        out: the file, written over.
        progress: called with photos done and n.

    Raises:
        DatasetError: a photo cannot be read: the rows would no longer be the dataset's.
    """
    found, readable = describe_photos(describe, dataset, progress=progress)
    if len(readable.photos) != len(dataset.photos):
        raise DatasetError(
            f"photos of {dataset.name} cannot be read", found=readable.skipped[-1], do="remove them"
        )
    with artifact.atomic_path(out, force=True) as temporary, open(temporary, "wb") as file:
        np.save(file, found)
    return found

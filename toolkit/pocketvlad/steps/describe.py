"""Photos -> descriptors, in files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad import artifact, ranks
from pocketvlad.dataset import Dataset
from pocketvlad.errors import DatasetError
from pocketvlad.evaluate.describe import Reading, collected, describe_photos
from pocketvlad.evaluate.descriptor_files import require_descriptor_file, write_descriptors
from pocketvlad.progress import Progress
from pocketvlad.runtime.describer import Describer, open_describer, require_places
from pocketvlad.steps.common import Result, apart, dataset_of, reading_of


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

    A run that was stopped goes on at the next photo. Under torchrun every process calls this and describes its
    part; the first one writes.

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
    dataset = apart(dataset_of(photos), out, file, force=force)
    describer = require_places(open_describer(file, threads=threads), file)
    reading = reading_of(describer, out, "describe")
    with collected(describer.describe, dataset, reading, progress=progress) as found:
        names = [photo.name for photo in found.readable.photos]
        if ranks.is_first():
            write_descriptors(out, names, found, half=half, force=force)
        return Described(str(out), len(found), found.dim, found.readable.skipped)


def describe_by(
    describer: Describer, dataset: Dataset, out: Path, progress: Progress | None = None
) -> np.ndarray:
    """:func:`describe_all` by a describer; a run that was stopped goes on at the next photo."""
    return describe_all(describer.describe, dataset, out, progress, reading_of(describer, out, "evaluate"))


def describe_all(
    describe: Callable[[Any], np.ndarray],
    dataset: Dataset,
    out: Path,
    progress: Progress | None = None,
    reading: Reading | None = None,
) -> np.ndarray:
    """Descriptors of every photo of a dataset, float32 [n, dim], kept as ``.npy``.

    Args:
        describe: what ``reading`` says -> unit descriptor float32 [dim].
        dataset: n photos.
        out: the file, written over.
        progress: called with photos done and n.
        reading: how photos are read.

    Raises:
        DatasetError: a photo cannot be read: the rows would no longer be the dataset's.
    """
    found, readable = describe_photos(describe, dataset, reading, progress=progress)
    if len(readable.photos) != len(dataset.photos):
        raise DatasetError(
            f"photos of {dataset.name} cannot be read", found=readable.skipped[-1], do="remove them"
        )
    with artifact.atomic_path(out, force=True) as temporary, open(temporary, "wb") as file:
        np.save(file, found)
    return found

"""Photos -> descriptors, in memory and in hloc's layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pocketvlad import artifact
from pocketvlad.dataset import Dataset
from pocketvlad.evaluate.describe import describe_photos, write_descriptors
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
    threads: int = 2,
    force: bool = False,
    progress: Progress | None = None,
) -> Described:
    """Describe photos by a model, compressed model or program and write the descriptors.

    Raises:
        ArtifactError: ``out`` exists, or the file is a classifier.
        PhotoError: no photo could be read.
    """
    artifact.require_new(out, force=force)
    describer = require_places(open_describer(file, threads=threads), file)
    descriptors, readable, skipped = describe_photos(describer.describe, dataset_of(photos), progress=progress)
    write_descriptors(out, [photo.name for photo in readable.photos], descriptors, force=force)
    return Described(str(out), len(descriptors), descriptors.shape[1], tuple(skipped))

"""Descriptors of photo collections, in memory and in hloc's HDF5 layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pocketvlad.artifact import write_bytes
from pocketvlad.dataset.tensors import load_region
from pocketvlad.dataset.types import Dataset
from pocketvlad.errors import ArtifactError, PhotoError

DATASET = "global_descriptor"  # hloc's name
Progress = Callable[[int, int], None]


def describe_photos(
    describe: Callable[[Any], np.ndarray],
    dataset: Dataset,
    *,
    progress: Progress | None = None,
) -> tuple[np.ndarray, Dataset, list[str]]:
    """Describe every photo; unreadable ones are skipped.

    Args:
        describe: a path, or decoded pixels where a photo has a box, -> unit descriptor float32 [dim].
        dataset: n photos.
        progress: called with photos done and n.

    Returns:
        float32 [m, dim], the dataset of the m readable photos, and one line for each photo skipped.

    Raises:
        PhotoError: none could be read.
    """
    rows, kept, skipped = [], [], []
    for i, photo in enumerate(dataset.photos):
        try:
            rows.append(describe(photo.path if photo.box is None else load_region(photo)))
            kept.append(i)
        except PhotoError as error:
            skipped.append(str(error))
        if progress is not None:
            progress(i + 1, len(dataset.photos))
    if not rows:
        raise PhotoError(f"no photo of {dataset.name} could be read", found=skipped[0] if skipped else "none")
    readable = dataset if len(kept) == len(dataset.photos) else dataset.subset(kept)
    readable = replace(readable, skipped=(*dataset.skipped, *skipped))
    return np.stack(rows), readable, skipped


def write_descriptors(
    out: Path | str, names: Sequence[str], descriptors: np.ndarray, *, force: bool = False
) -> None:
    """One HDF5 group per photo with a dataset ``global_descriptor`` float32 [dim], as hloc writes them.

    The file is made in memory, twice its size, and then written: HDF5 itself crashes on a full disk.

    Raises:
        ArtifactError: ``out`` exists or cannot be written.
    """
    with h5py.File("descriptors", "w", driver="core", backing_store=False) as file:
        for name, descriptor in zip(names, descriptors, strict=True):
            file.create_group(name).create_dataset(DATASET, data=np.asarray(descriptor, np.float32))
        file.flush()
        image = file.id.get_file_image()
    write_bytes(out, image, force=force)


def read_descriptors(path: Path | str) -> dict[str, np.ndarray]:
    """Descriptors float32 [dim] of an hloc feature file by photo name; half precision is widened.

    Raises:
        ArtifactError: missing, damaged, or without descriptors.
    """
    found: dict[str, np.ndarray] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and name.endswith(f"/{DATASET}"):
            found[name.removesuffix(f"/{DATASET}")] = np.asarray(item[()], np.float32).reshape(-1)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is not a readable HDF5 file", found=str(error)) from error
    if not found:
        raise ArtifactError(f"{path} holds no {DATASET!r}", allowed="an hloc global-feature file")
    return found

"""Descriptors of photo collections, in memory and in hloc's HDF5 layout."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pocketvlad.artifact import write_bytes
from pocketvlad.dataset.tensors import load_region
from pocketvlad.dataset.types import Dataset, Photo
from pocketvlad.errors import ArtifactError, PhotoError

DATASET = "global_descriptor"  # hloc's name
SUFFIXES = (".h5", ".hdf5")
Progress = Callable[[int, int], None]


def describe_photos(
    describe: Callable[[Any], np.ndarray],
    dataset: Dataset,
    *,
    progress: Progress | None = None,
) -> tuple[np.ndarray, Dataset]:
    """Describe every photo; unreadable ones are skipped.

    Args:
        describe: a path, or decoded pixels where a photo has a box, -> unit descriptor float32 [dim].
        dataset: n photos.
        progress: called with photos done and n.

    Returns:
        float32 [m, dim], and the dataset of the m readable photos, whose ``skipped`` names the others as well.

    Raises:
        PhotoError: none could be read.
        ArtifactError: a descriptor that is not finite.
    """
    rows, kept, skipped = [], [], []
    for i, photo in enumerate(dataset.photos):
        try:
            row = describe(photo.path if photo.box is None else load_region(photo))
        except PhotoError as error:
            skipped.append(str(error))
        else:
            require_finite(row, photo)
            rows.append(row)
            kept.append(i)
        if progress is not None:
            progress(i + 1, len(dataset.photos))
    if not rows:
        raise PhotoError(f"no photo of {dataset.name} could be read", found=skipped[0] if skipped else "none")
    readable = dataset if len(kept) == len(dataset.photos) else dataset.subset(kept)
    return np.stack(rows), replace(readable, skipped=(*dataset.skipped, *skipped))


def require_finite(descriptor: np.ndarray, photo: Photo) -> None:
    """Raises ArtifactError when the descriptor float32 [dim] of ``photo`` holds NaN or infinity."""
    if not np.isfinite(descriptor).all():
        found = "NaN" if np.isnan(descriptor).any() else "infinity"
        raise ArtifactError(
            f"the descriptor of {photo.name} is not finite", found=found, do="check the model that made it"
        )


def require_descriptor_file(out: Path | str) -> None:
    """Raises ArtifactError unless ``out`` is named as an HDF5 file: said before long work."""
    suffix = Path(out).suffix.lower()
    if suffix not in SUFFIXES:
        raise ArtifactError(
            f"descriptors are written as HDF5, which {Path(out).name} does not say",
            found=suffix or "no suffix",
            allowed=" or ".join(SUFFIXES),
        )


def write_descriptors(
    out: Path | str, names: Sequence[str], descriptors: np.ndarray, *, force: bool = False
) -> None:
    """One HDF5 group per photo with a dataset ``global_descriptor`` float32 [dim], as hloc writes them.

    The file is made in memory, twice its size, and then written: HDF5 itself crashes on a full disk. Names
    keep the bytes they have on disk, UTF-8 or not.

    Raises:
        ArtifactError: ``out`` exists, cannot be written or is not named as an HDF5 file.
    """
    require_descriptor_file(out)
    with h5py.File("descriptors", "w", driver="core", backing_store=False) as file:
        for name, descriptor in zip(names, descriptors, strict=True):
            file.create_group(os.fsencode(name)).create_dataset(
                DATASET, data=np.asarray(descriptor, np.float32)
            )
        file.flush()
        image = file.id.get_file_image()
    write_bytes(out, image, force=force)


def read_descriptors(path: Path | str) -> dict[str, np.ndarray]:
    """Descriptors float32 [dim] of an hloc feature file by photo name; half precision is widened.

    Raises:
        ArtifactError: missing, damaged, or without descriptors.
    """
    found: dict[str, np.ndarray] = {}

    def visit(stored: str | bytes, item: object) -> None:
        name = os.fsdecode(stored)  # bytes where they are no UTF-8
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

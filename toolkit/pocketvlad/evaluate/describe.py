"""Descriptors of photo collections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pocketvlad.dataset.region import load_region
from pocketvlad.dataset.types import Dataset, Photo
from pocketvlad.errors import ArtifactError, PhotoError
from pocketvlad.threads import in_order, one_thread

Progress = Callable[[int, int], None]


@one_thread()
def describe_photos(
    describe: Callable[[Any], np.ndarray],
    dataset: Dataset,
    *,
    several: bool = False,
    progress: Progress | None = None,
) -> tuple[np.ndarray, Dataset]:
    """Describe every photo; unreadable ones are skipped.

    Args:
        describe: a path, or decoded pixels where a photo has a box, -> unit descriptor float32 [dim].
        dataset: n photos.
        several: whether ``describe`` may be called from several threads.
        progress: called with photos done and n.

    Returns:
        float32 [m, dim], and the dataset of the m readable photos, whose ``skipped`` names the others as well.

    Raises:
        PhotoError: none could be read.
        ArtifactError: a descriptor that is not finite.
    """

    def described(photo: Photo) -> np.ndarray | PhotoError:
        try:
            return describe(photo.path if photo.box is None else load_region(photo))
        except PhotoError as error:
            return error

    rows, kept, skipped = [], [], []
    for i, row in enumerate((in_order if several else map)(described, dataset.photos)):
        if isinstance(row, PhotoError):
            skipped.append(str(row))
        else:
            require_finite(row, dataset.photos[i])
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

"""The photos of a dataset as a model's inputs: kept where they fit in memory, else read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pocketvlad.compress.trainer import TrainingPhotos
from pocketvlad.dataset.types import Dataset, Photo, Query
from pocketvlad.errors import PhotoError
from pocketvlad.evaluate.describe import load_region
from pocketvlad.model.preprocess import Preprocess, photo_tensor

KEPT_BYTES = 2_000_000_000  # of tensors in memory
CALIBRATION_PHOTOS = 160  # looked at, spread evenly over a larger collection
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class PhotoTensors:
    """A dataset's readable photos.

    Attributes:
        dataset: of the photos that can be read.
        tensor: photo number -> float32 [3, H, W], preprocessed.
        skipped: one line for each photo that cannot be read.
    """

    dataset: Dataset
    tensor: Callable[[int], Tensor]
    skipped: tuple[str, ...]

    def stack(self, photos: Sequence[int]) -> Tensor:
        """float32 [N, 3, H, W] of these photos."""
        return torch.stack([self.tensor(i) for i in photos])

    def calibration(self, photos: Sequence[int] | None = None) -> Tensor:
        """At most :data:`CALIBRATION_PHOTOS` of these photos, of all if not said."""
        chosen = range(len(self.dataset.photos)) if photos is None else photos
        return self.stack(chosen[:: -(-len(chosen) // CALIBRATION_PHOTOS)])


def open_tensors(
    dataset: Dataset,
    preprocess: Preprocess,
    *,
    kept_bytes: int = KEPT_BYTES,
    progress: Progress | None = None,
) -> PhotoTensors:
    """Read every photo once; keep all tensors if they take at most ``kept_bytes``.

    Raises:
        PhotoError: none could be read.
    """
    keep = 4 * 3 * preprocess.height * preprocess.width * len(dataset.photos) <= kept_bytes
    tensors, readable, skipped = [], [], []
    for number, photo in enumerate(dataset.photos):
        try:
            tensor = _tensor(photo, preprocess)
        except PhotoError as error:
            skipped.append(str(error))
        else:
            readable.append(number)
            tensors.append(tensor if keep else None)
        if progress is not None:
            progress(number + 1, len(dataset.photos))
    if not readable:
        raise PhotoError(f"no photo of {dataset.name} could be read", found=skipped[0] if skipped else "none")
    kept = dataset if len(readable) == len(dataset.photos) else dataset.subset(readable)

    def tensor_of(number: int) -> Tensor:
        found = tensors[number]
        return _tensor(kept.photos[number], preprocess) if found is None else found

    return PhotoTensors(kept, tensor_of, tuple(skipped))


def _tensor(photo: Photo, preprocess: Preprocess) -> Tensor:
    return torch.from_numpy(photo_tensor(photo.path if photo.box is None else load_region(photo), preprocess))


@dataclass(frozen=True, eq=False)
class TrainingSplit:
    """Photos that train, and those of the places held out.

    Attributes:
        photos: what the training loop takes.
        training, held_out: photo numbers; no place is in both.
    """

    photos: TrainingPhotos
    training: tuple[int, ...]
    held_out: tuple[int, ...]


def split_for_training(tensors: PhotoTensors, validation: float) -> TrainingSplit:
    """Hold out the share ``validation`` of a dataset's places; photos of no place all train."""
    dataset = tensors.dataset
    places = [photo.place for photo in dataset.photos]
    training, validating = split_validation(dataset.queries, places, validation)
    held_places = {places[query.photo] for query in validating}
    held = tuple(i for i, place in enumerate(places) if place is not None and place in held_places)
    numbers = set(held)
    kept = tuple(i for i in range(len(places)) if i not in numbers)
    return TrainingSplit(TrainingPhotos(tensors.tensor, len(places), training, validating), kept, held)


def split_validation(
    queries: Sequence[Query], places: Sequence[str | None], share: float
) -> tuple[tuple[Query, ...], tuple[Query, ...]]:
    """Training and validation queries without a place in common: every n-th place validates."""
    names = sorted({places[q.photo] or "" for q in queries})
    every = round(1 / share) if share else 0
    held = {name for i, name in enumerate(names) if every and i % every == every - 1}
    training = tuple(q for q in queries if (places[q.photo] or "") not in held)
    return training, tuple(q for q in queries if (places[q.photo] or "") in held)

"""Which photos train and which judge: no place is in both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from pocketvlad.dataset.tensors import PhotoTensors
from pocketvlad.dataset.types import Query


@dataclass(frozen=True)
class TrainingPhotos:
    """Labelled photos to learn from.

    Attributes:
        tensor: photo number -> float32 [3, H, W], preprocessed.
        count: of photos.
        queries: with their positives; those without any are skipped.
        validation: queries the loss never sees; their mAP is reported.
    """

    tensor: Callable[[int], Tensor]
    count: int
    queries: tuple[Query, ...]
    validation: tuple[Query, ...] = ()


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

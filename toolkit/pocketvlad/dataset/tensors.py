"""The photos of a dataset as a model's inputs: kept where they fit in memory, else read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pocketvlad.dataset.decoder import Wish, decoded
from pocketvlad.dataset.region import load_region
from pocketvlad.dataset.types import Dataset, Photo
from pocketvlad.errors import DatasetError, PhotoError
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
        skipped: the dataset's own lines, and one for each photo that cannot be read.
    """

    dataset: Dataset
    tensor: Callable[[int], Tensor]
    skipped: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.dataset.photos)

    def __getitem__(self, number: int) -> Tensor:
        """A photo, float32 [3, H, W]."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self.tensor(number)

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
    most: int | None = None,
    kept_bytes: int = KEPT_BYTES,
    progress: Progress | None = None,
) -> PhotoTensors:
    """Read every photo once, or until ``most`` could be read; keep all tensors if they take at most ``kept_bytes``.

    Raises:
        PhotoError: none could be read.
    """
    keep = 4 * 3 * preprocess.height * preprocess.width * len(dataset.photos) <= kept_bytes
    tensors: list[Tensor | None] = []
    numbers: list[int] = []
    skipped: list[str] = []
    count = len(dataset.photos) if most is None else min(most, len(dataset.photos))
    with closing(decoded(dataset.photos, count, Wish(preprocess))) as found:
        for number, each in enumerate(found):
            if isinstance(each.tensor, str):
                skipped.append(each.tensor)
            else:
                numbers.append(number)
                tensors.append(torch.from_numpy(each.tensor) if keep else None)
            if progress is not None:
                progress(number + 1, len(dataset.photos))
            if len(numbers) == most:
                break
    if not numbers:
        raise PhotoError(f"no photo of {dataset.name} could be read", found=skipped[0] if skipped else "none")
    kept = dataset if len(numbers) == len(dataset.photos) else dataset.subset(numbers)

    def tensor_of(number: int) -> Tensor:
        found = tensors[number]
        return _tensor(kept.photos[number], preprocess) if found is None else found

    return PhotoTensors(kept, tensor_of, (*dataset.skipped, *skipped))


def _tensor(photo: Photo, preprocess: Preprocess) -> Tensor:
    return torch.from_numpy(photo_tensor(photo.path if photo.box is None else load_region(photo), preprocess))


def readable(dataset: Dataset) -> Dataset:
    """The photos that can be decoded, so that every program answers for the same ones.

    Raises:
        DatasetError: none can.
    """
    kept, skipped = [], []
    for number, photo in enumerate(dataset.photos):
        try:
            load_region(photo)
            kept.append(number)
        except PhotoError as error:
            skipped.append(str(error))
    if not kept:
        raise DatasetError(f"no photo of {dataset.name} can be read", found=skipped[0] if skipped else "none")
    if not skipped:
        return dataset
    return replace(dataset.subset(kept), skipped=(*dataset.skipped, *skipped))

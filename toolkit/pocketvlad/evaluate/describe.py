"""Descriptors of photo collections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad import ranks
from pocketvlad.dataset.decoder import Decoded, Wish, decoded
from pocketvlad.dataset.region import load_region
from pocketvlad.dataset.types import Dataset, Photo
from pocketvlad.errors import ArtifactError, PhotoError
from pocketvlad.evaluate.files import room
from pocketvlad.evaluate.journal import Journal, kept_folder
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.threads import in_order, one_thread

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Reading:
    """How a collection is read.

    Attributes:
        several: whether ``describe`` may be called from several threads.
        preprocess: photos are decoded by it, side by side, and ``describe`` gets float32 [3, H, W]; None: it gets
            paths, or pixels where a photo has a box.
        beside: bytes about a readable photo that go with its descriptor; a function of a module, or None.
        resume: folder of what is done, for a stopped job to go on from and for the processes of torchrun to share;
            None: nothing is kept.
        describes: what makes the descriptors, as far as they depend on it: a fingerprint.
    """

    several: bool = False
    preprocess: Preprocess | None = None
    beside: Callable[[Photo], bytes] | None = None
    resume: Path | None = None
    describes: bytes = b""


class Collected:
    """The descriptors of a collection, and what goes with them, in a journal.

    Attributes:
        readable: the dataset of the m photos that could be read; its ``skipped`` names the others as well.
    """

    def __init__(self, journal: Journal, dataset: Dataset):
        self._journal, self._rows = journal, journal.described()
        left = journal.missing()
        lines = tuple(journal.line(photo) for photo in left)
        if not self._rows:
            raise PhotoError(f"no photo of {dataset.name} could be read", found=lines[0] if lines else "none")
        readable = dataset.subset(self._rows) if left else dataset
        self.readable = replace(readable, skipped=(*dataset.skipped, *lines))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Each descriptor, float32 [dim]."""
        return (self._journal.row(photo) for photo in self._rows)

    @property
    def dim(self) -> int:
        return self._journal.row(self._rows[0]).size

    def beside(self, row: int) -> bytes:
        """What goes with a readable photo."""
        return self._journal.beside(self._rows[row])

    def descriptors(self) -> np.ndarray:
        """float32 [m, dim]; many of them in a file that goes when nobody holds them."""
        rows = iter(self)
        first = next(rows)
        found = room((len(self), first.size), np.float32)
        found[0] = first
        for at, row in enumerate(rows, 1):
            found[at] = row
        return found


def describe_photos(
    describe: Callable[[Any], np.ndarray],
    dataset: Dataset,
    reading: Reading | None = None,
    *,
    progress: Progress | None = None,
) -> tuple[np.ndarray, Dataset]:
    """Describe every photo; unreadable ones are skipped.

    Args:
        describe: what ``reading`` says -> unit descriptor float32 [dim].
        dataset: n photos.
        reading: how they are read.
        progress: called with photos done and n.

    Returns:
        float32 [m, dim], and the dataset of the m readable photos, whose ``skipped`` names the others as well.

    Raises:
        PhotoError: none could be read.
        ArtifactError: a descriptor that is not finite.
    """
    with collected(describe, dataset, reading, progress=progress) as found:
        return found.descriptors(), found.readable


@contextmanager
def collected(
    describe: Callable[[Any], np.ndarray],
    dataset: Dataset,
    reading: Reading | None = None,
    *,
    progress: Progress | None = None,
) -> Iterator[Collected]:
    """The same, descriptors staying in files while the block lasts; what was kept goes when it ends well.

    Under torchrun and with a folder to share each process describes its part, and all see the whole.
    """
    reading = reading or Reading()
    with ExitStack() as stack:
        if reading.resume is not None:
            stack.enter_context(kept_folder(reading.resume))
        journal = stack.enter_context(Journal(reading.resume, reading.describes, dataset.photos))
        _describe_missing(describe, dataset, reading, journal, progress)
        journal.finish()
        yield Collected(journal, dataset)


@one_thread()
def _describe_missing(
    describe: Callable[[Any], np.ndarray],
    dataset: Dataset,
    reading: Reading,
    journal: Journal,
    progress: Progress | None,
) -> None:
    rank, world = ranks.rank_and_world() if reading.resume is not None else (0, 1)
    missing = journal.missing()
    mine, total = missing[rank::world], len(dataset.photos)
    done = total - len(missing)

    def described(item: Decoded | Photo) -> tuple[np.ndarray | str, bytes]:
        if isinstance(item, Photo):
            try:
                row = describe(item.path if item.box is None else load_region(item))
                return row, reading.beside(item) if reading.beside else b""
            except PhotoError as error:
                return str(error), b""
        return (item.tensor if isinstance(item.tensor, str) else describe(item.tensor)), item.beside

    photos = (dataset.photos[number] for number in mine)
    items: Iterable[Decoded | Photo] = photos
    if reading.preprocess is not None:
        items = decoded(photos, len(mine), Wish(reading.preprocess, reading.beside))
    rows = (in_order if reading.several else map)(described, items)
    for number, (row, beside) in zip(mine, rows, strict=True):
        if not isinstance(row, str):
            require_finite(row, dataset.photos[number])
        journal.add(number, row, beside)
        done += world
        if progress is not None:
            progress(min(done, total), total)


def require_finite(descriptor: np.ndarray, photo: Photo) -> None:
    """Raises ArtifactError when the descriptor float32 [dim] of ``photo`` holds NaN or infinity."""
    if not np.isfinite(descriptor).all():
        found = "NaN" if np.isnan(descriptor).any() else "infinity"
        raise ArtifactError(
            f"the descriptor of {photo.name} is not finite", found=found, do="check the model that made it"
        )

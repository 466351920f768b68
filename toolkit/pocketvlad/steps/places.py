"""A place index and the program that describes photos for it, open together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketvlad import artifact
from pocketvlad.dataset import Dataset
from pocketvlad.index import PlaceIndex, require_fingerprint, write_index
from pocketvlad.index import build_index as index_of
from pocketvlad.index import open_index as read_index
from pocketvlad.model.frames import RGB
from pocketvlad.progress import Progress
from pocketvlad.runtime.runner import ProgramRunner
from pocketvlad.steps.common import dataset_of
from pocketvlad.steps.index import Match, matches_of


@dataclass(frozen=True, eq=False)
class Places:
    """A place index together with the program that describes photos for it.

    Attributes:
        index: the vectors, labels and thumbnails.
        program: that made them.
        skipped: one line for each photo that could not be read.
    """

    index: PlaceIndex
    program: ProgramRunner
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.index)

    @property
    def threshold(self) -> float | None:
        """The cosine from which a place counts as known; None where the photos did not say."""
        return self.index.threshold

    def search(self, photo: str | Path | np.ndarray, k: int = 5, *, order: str = RGB) -> tuple[Match, ...]:
        """The k nearest photos of the index, the best first.

        Args:
            photo: as the program takes it.
            k: how many.
            order: of a frame's colours, ``rgb`` or ``bgr``.

        Raises:
            PhotoError: the photo cannot be read.
        """
        return matches_of(self.index, self.program(photo, order=order)[None], k)[0]

    def save(self, out: str | Path, *, force: bool = False) -> Path:
        """Write the index (``.pvix``)."""
        write_index(out, self.index, force=force)
        return Path(out)


def build_index(
    program: ProgramRunner,
    photos: str | Path | Dataset,
    *,
    vectors: str = "float16",
    progress: Progress | None = None,
) -> Places:
    """An index of the places in photos.

    Args:
        program: of :func:`open_program`.
        photos: ``KIND:PATH``.
        vectors: ``float32``, ``float16`` or ``int8``.
        progress: called with photos done and in all.
    """
    info = {"program": artifact.file_sha256(program.path)}
    index, skipped = index_of(
        program.describe,
        dataset_of(photos),
        program.info.fingerprint,
        dtype=vectors,
        info=info,
        progress=progress,
    )
    return Places(index, program, tuple(skipped))


def open_index(path: str | Path, program: ProgramRunner) -> Places:
    """An index from a file.

    Raises:
        IndexFormatError: damaged, or made by another program.
    """
    index = read_index(path)
    require_fingerprint(index, program.info.fingerprint, program.path.name)
    return Places(index, program)

"""A place index and the program that describes photos for it, open together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketvlad.index import PlaceIndex, search_index, write_index
from pocketvlad.runtime.runner import ProgramRunner
from pocketvlad.steps.index import Match


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

    def search(self, photo: str | Path | np.ndarray, k: int = 5) -> tuple[Match, ...]:
        """The k nearest photos of the index, the best first.

        Args:
            photo: as the program takes it.
            k: how many.

        Raises:
            PhotoError: the photo cannot be read.
        """
        rows, cosines = search_index(self.index, self.program(photo)[None], k)
        entries = self.index.entries
        return tuple(
            Match(entries[row].label, float(cosine), entries[row].name, int(row))
            for row, cosine in zip(rows[0], cosines[0], strict=True)
        )

    def save(self, out: str | Path, *, force: bool = False) -> Path:
        """Write the index (``.pvix``)."""
        write_index(out, self.index, force=force)
        return Path(out)

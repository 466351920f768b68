"""How long work tells how far it is."""

from __future__ import annotations

from itertools import count
from typing import Protocol


class Progress(Protocol):
    """Shows how much is done of how much, and a few words; fewer done than before starts a new phase."""

    def __call__(self, done: int, total: int, text: str = "") -> None: ...


def quiet(done: int, total: int, text: str = "") -> None:
    """Shows nothing."""


def with_text(progress: Progress | None, text: str) -> Progress:
    """The same progress with words of its own."""
    shown = progress or quiet
    return lambda done, total, _="": shown(done, total, text)


class Steps:
    """Counts finished steps towards a progress; from several threads too."""

    def __init__(self, progress: Progress | None, total: int):
        self._progress, self._total, self._count = progress or quiet, total, count(1)

    def done(self, steps: int = 1) -> None:
        """One more step is finished, or several."""
        for _ in range(steps):
            self._progress(next(self._count), self._total)

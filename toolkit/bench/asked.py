"""What one run of a suite is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Asked:
    """Of every suite; each reads what bears on it.

    Attributes:
        folder: where made programs are kept.
        threads: that compute.
        rounds: in which contenders take turns.
        say: is told what goes on.
        only: names of models or matrices; empty: the suite's usual ones.
        labels: of contenders; empty: all.
    """

    folder: Path
    threads: int
    rounds: int
    say: Callable[[str], None]
    only: Sequence[str] = ()
    labels: Sequence[str] = ()

"""What the paper's table is made of: the one schema of ``reproduce.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pocketvlad.evaluate.metrics import Difference


@dataclass(frozen=True)
class PaperRow:
    """One setting of the paper and what it measured.

    Attributes:
        bits: of a code.
        threshold: weights below it in magnitude are pruned.
        pruned: percentage of the weights.
        oxford, paris: loss of mAP, points of 100; 0 where the paper reports none.
        mb: size of the compressed model, 10^6 bytes.
    """

    bits: int
    threshold: float
    pruned: float
    oxford: float
    paris: float
    mb: float

    @property
    def name(self) -> str:
        return f"{self.bits}bit-{self.threshold:g}"


@dataclass(frozen=True)
class PaperNetwork:
    """The rows of one network, and the size of its uncompressed model in MB."""

    network: str
    base_mb: float
    rows: tuple[PaperRow, ...]


@dataclass(frozen=True)
class Counted:
    """As the paper counts: percentage of the layers' weights that are 0, bytes of their masks and codes."""

    pruned: float
    codes_bytes: int


@dataclass(frozen=True)
class Row:
    """One line of the table: what the paper has and what the program of this setting does here.

    Attributes:
        name, paper: of the setting.
        score: of the direction's metric, 0 to 100.
        drop: points lost against the uncompressed program, with the 95% interval.
        program_bytes: of the ``.pte``.
        counted: as the paper counts.
    """

    name: str
    paper: PaperRow
    score: float
    drop: Difference
    program_bytes: int
    counted: Counted


@dataclass(frozen=True)
class DirectionResult:
    """The table of one direction.

    Attributes:
        train, test: the datasets' names.
        metric: of the scores, ``mAP`` or ``Recall@1``.
        queries: how many.
        score, weights_bytes, program_bytes: of the uncompressed model.
        rows: of the table.
        pictured: the row in the picture of answers.
        l1: lambda of the histograms; None where nothing was trained.
        pictures: files.
        skipped: one line for each photo that could not be read.
    """

    train: str
    test: str
    metric: str
    queries: int
    score: float
    weights_bytes: int
    program_bytes: int
    rows: tuple[Row, ...]
    pictured: str
    l1: float | None
    pictures: tuple[str, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Reproduction:
    """The paper's table for one backbone: what ``reproduce.json`` holds.

    Attributes:
        backbone: torchvision's name.
        paper: what the paper has of it.
        steps: of fine-tuning.
        match: ``thresholds`` or ``pruned``.
        options: what was asked.
        directions: one table for each.
        machine, versions: that made it.
        files: written.
    """

    backbone: str
    paper: PaperNetwork
    steps: int
    match: str
    options: dict[str, str]
    directions: tuple[DirectionResult, ...]
    machine: dict[str, Any]
    versions: dict[str, str]
    files: tuple[str, ...] = field(default=())

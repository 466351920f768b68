"""What a run's report is made of: the one schema of ``summary.json``.

Rows that something else measures are its own types: bytes of layers, times of programs and ops, changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pocketvlad.compress.sizes import LayerSize
from pocketvlad.evaluate.metrics import Difference
from pocketvlad.runtime.latency import Latency
from pocketvlad.runtime.profile import OpTime
from pocketvlad.schema import to_table


@dataclass(frozen=True)
class VariantRow:
    """One program, measured: the uncompressed model or a recipe.

    Attributes:
        name: ``float32`` or the recipe.
        program_bytes: of the ``.pte`` file.
        ratio: the uncompressed program's bytes over this one's.
        score: of the summary's metric, on photos that fitted and calibrated nothing, 0 to 100.
        change: of the score against the uncompressed model, points, paired bootstrap over the queries.
        cosine: mean, of its descriptors to the uncompressed model's.
        latency: on the host.
        codes_bytes: masks and codes alone, as the paper counts; 0 for the uncompressed model.
        pruned: share of the weights that are 0.
        convolutions: what computes them, ``lut`` (lookup kernels) or ``int8`` (XNNPACK's); None if uncompressed.
        convolutions_ms: medians of the backbone by kind, where they decided.
    """

    name: str
    program_bytes: int
    ratio: float
    score: float
    change: Difference
    cosine: float
    latency: Latency
    codes_bytes: int = 0
    pruned: float = 0.0
    convolutions: str | None = None
    convolutions_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Match:
    """What a model ranks first: a photo file, the cosine, whether it shows the query's place."""

    photo: str
    cosine: float
    right: bool


@dataclass(frozen=True)
class MatchRow:
    """One query: photo files of the query and of one right answer, and both models' best matches."""

    query: str
    truth: str
    place: str | None
    before: Match
    after: Match


@dataclass(frozen=True)
class AppInfo:
    """The APK, and how its index does on one photo of each place that is not in it."""

    apk: str
    apk_bytes: int
    index_bytes: int
    photos: int
    recipe: str
    install: str
    abis: tuple[str, ...]
    min_sdk: int
    visitors: int = 0
    recognised: int = 0


@dataclass(frozen=True)
class DataInfo:
    """Which photos did what."""

    datasets: tuple[str, ...]
    fit_split: str
    fit_photos: int
    fit_places: int
    test_photos: int
    test_places: int
    queries: int

    @property
    def held_out(self) -> bool:
        """Whether other places tested than fitted."""
        return self.fit_split != "all"


@dataclass(frozen=True)
class Histogram:
    """Weights of one layer in equal bins: ``edges`` [n + 1], counts ``before`` and ``after`` [n]."""

    layer: str
    edges: tuple[float, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]


@dataclass(frozen=True)
class FileRow:
    """A file the run made, with the hash that names it."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ReportSummary:
    """Everything the report shows.

    Attributes:
        metric: of every score, ``mAP`` or ``Recall@1``.
        variants: the uncompressed model first.
        layers: by recipe.
        emulated: what each emulated self-test returned.
        skipped: photos that could not be read, with why.
        ops: of the app's program.
        commands: that make the run again.
        report: the page's own path.
    """

    title: str
    metric: str
    variants: tuple[VariantRow, ...]
    app: AppInfo
    layers: dict[str, tuple[LayerSize, ...]]
    matches: tuple[MatchRow, ...]
    data: DataInfo
    machine: dict[str, Any]
    versions: dict[str, str]
    emulated: tuple[dict[str, Any], ...] = ()
    skipped: tuple[str, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    ops: tuple[OpTime, ...] = ()
    files: tuple[FileRow, ...] = ()
    commands: tuple[str, ...] = ()
    report: str = ""

    def to_json(self) -> dict[str, Any]:
        """What ``summary.json`` holds."""
        return to_table(self)

    @property
    def before(self) -> VariantRow:
        """The uncompressed model: the first variant."""
        return self.variants[0]

    @property
    def after(self) -> VariantRow:
        """The variant in the app."""
        return next((row for row in self.variants if row.name == self.app.recipe), self.variants[-1])

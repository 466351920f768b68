"""What a run's report is made of: the one schema of ``summary.json``.

Rows that something else measures are its own types: bytes of layers, times of programs and ops, changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pocketvlad.compress.sizes import LayerSize
from pocketvlad.evaluate.metrics import Difference
from pocketvlad.model.choice import Choice
from pocketvlad.runtime.latency import Latency
from pocketvlad.runtime.profile import LayerTime, OpTime
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
        convolutions: what computes them, ``lut`` or ``lut-int8`` (lookup kernels) or ``int8`` (XNNPACK's); None if
            uncompressed.
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
    """One query and what both models rank first.

    Attributes:
        query, truth: photo files of the query and of one right answer.
        place: of the query.
        before, after: best matches of the uncompressed and the app's model.
        change: of the query's own score (average precision, or 1 for a right first answer), points of 100.
    """

    query: str
    truth: str
    place: str | None
    before: Match
    after: Match
    change: float = 0.0

    @property
    def verdict(self) -> str:
        """What compression did to the first answer."""
        return verdict_of(self.before.right, self.after.right)


def verdict_of(was_right: bool, is_right: bool) -> str:
    """What compression did to a first answer: ``lost``, ``gained``, ``right`` or ``wrong`` with both."""
    if was_right == is_right:
        return "right" if is_right else "wrong"
    return "gained" if is_right else "lost"


@dataclass(frozen=True)
class Verdicts:
    """How many queries compression lost and gained a right first answer, and how many are alike with both."""

    lost: int
    gained: int
    right: int
    wrong: int


@dataclass(frozen=True)
class QueryChange:
    """One query's own score with the uncompressed and with the app's model, 0 to 100."""

    query: str
    before: float
    after: float


@dataclass(frozen=True)
class Thresholds:
    """What an index accepts as a known place.

    Attributes:
        chosen: the cosine from which the app names a place; None where the index has none.
        known, unknown: best cosines of the index's own photos, which chose it: with their place in the index, and
            with their place taken out.
        visitors, strangers: the same of the visitors' photos, which chose nothing.
        named, doubted, mistaken, refused: visitors by what the app shows: the right place; the right one as unknown;
            a wrong place; a wrong one as unknown.
    """

    chosen: float | None
    known: tuple[float, ...] = ()
    unknown: tuple[float, ...] = ()
    visitors: tuple[float, ...] = ()
    strangers: tuple[float, ...] = ()
    named: int = 0
    doubted: int = 0
    mistaken: int = 0
    refused: int = 0


@dataclass(frozen=True)
class StageTime:
    """A stage of the run.

    Attributes:
        seconds: when it ran last.
        inputs: what decided its result: options, hashes of files and photos, versions.
    """

    stage: str
    seconds: float
    inputs: dict[str, Any] = field(default_factory=dict)


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
        ops, layer_times: of the app's program.
        stages: of the run, in order.
        verdicts: over all queries; ``matches`` shows some.
        queries: with another score than before, what lost most first.
        thresholds: of the app's index.
        whitening: how the model's was chosen; None where nothing was.
        plan: of the run, every option with its value, the seed among them.
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
    layer_times: tuple[LayerTime, ...] = ()
    stages: tuple[StageTime, ...] = ()
    verdicts: Verdicts | None = None
    queries: tuple[QueryChange, ...] = ()
    thresholds: Thresholds | None = None
    whitening: Choice | None = None
    files: tuple[FileRow, ...] = ()
    plan: dict[str, Any] = field(default_factory=dict)
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

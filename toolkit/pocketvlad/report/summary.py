"""What a run's report is made of: the dictionary in ``summary.json`` as frozen dataclasses.

Keys a report does not draw are left out; a key it needs and does not find is an :class:`ArtifactError`.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pocketvlad.errors import ArtifactError

T = TypeVar("T")


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% interval, in points of mAP."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class VariantRow:
    """One program, measured: the uncompressed model or a recipe.

    Attributes:
        name: ``float32`` or the recipe.
        program_bytes: of the ``.pte`` file.
        codes_bytes: masks and codes alone, as the paper counts; 0 for the uncompressed model.
        ratio: the uncompressed program's bytes over this one's.
        pruned: share of the weights that are 0.
        map: mean average precision on photos that fitted and calibrated nothing, 0 to 100.
        drop: change against the uncompressed model, paired bootstrap over the queries.
        cosine: mean, of its descriptors to the uncompressed model's.
        cosine_to_torch: worst, of the program to the torch model it was made from.
        median_ms, min_ms, load_ms, first_ms: on the host: one photo, loading, first answer with loading.
        recalls: recall at N by N, 0 to 100.
        program: file name.
        without_whitening_bytes: of everything but the whitening layer, where known.
        memory_bytes: peak resident growth of the process, where measured.
        convolutions: what computes them, ``lut`` (lookup kernels) or ``int8`` (XNNPACK's); None if uncompressed.
        convolutions_ms: medians of the backbone by kind, where they decided.
    """

    name: str
    program_bytes: int
    ratio: float
    map: float
    drop: Interval
    cosine: float
    median_ms: float
    min_ms: float
    load_ms: float
    first_ms: float
    codes_bytes: int = 0
    pruned: float = 0.0
    cosine_to_torch: float | None = None
    recalls: dict[str, float] = field(default_factory=dict)
    program: str = ""
    without_whitening_bytes: int | None = None
    memory_bytes: int | None = None
    convolutions: str | None = None
    convolutions_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerRow:
    """Bytes of one compressed layer; see :class:`pocketvlad.compress.sizes.LayerSize`."""

    layer: str
    weights: int
    bits: int
    layout: str
    pruned: float
    mask: int
    codes: int
    codebook: int
    scales: int
    bias: int
    total: int
    bits_per_weight: float
    entropy: float
    share: float
    ratio: float


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
    visitors: int = 0
    recognised: int = 0
    threshold: float | None = None
    abis: tuple[str, ...] = ()
    min_sdk: int | None = None
    target_sdk: int | None = None
    signed: Any = None


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


@dataclass(frozen=True)
class Histogram:
    """Weights of one layer in equal bins: ``edges`` [n + 1], counts ``before`` and ``after`` [n]."""

    layer: str
    edges: tuple[float, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]


@dataclass(frozen=True)
class OpRow:
    """All calls of one op in a run of the app's program; see :class:`pocketvlad.export.profile.OpTime`."""

    op: str
    by: str
    calls: int
    ms: float
    share: float


@dataclass(frozen=True)
class StageRow:
    """Milliseconds of one stage, and where it was measured: host, emulated or phone."""

    stage: str
    ms: float
    where: str = "host"


@dataclass(frozen=True)
class FileRow:
    """A file the run made, with the hash that names it."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ReportSummary:
    """Everything the report shows. ``layers`` is by recipe; ``emulated`` is what the self-test returned."""

    title: str
    variants: tuple[VariantRow, ...]
    app: AppInfo
    layers: dict[str, tuple[LayerRow, ...]]
    matches: tuple[MatchRow, ...]
    data: DataInfo
    machine: dict[str, Any]
    versions: dict[str, str]
    emulated: tuple[dict[str, Any], ...] = ()
    skipped: tuple[str, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    stages: tuple[StageRow, ...] = ()
    ops: tuple[OpRow, ...] = ()
    files: tuple[FileRow, ...] = ()
    commands: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    report: str = ""

    @property
    def before(self) -> VariantRow:
        """The uncompressed model: the first variant."""
        return self.variants[0]

    @property
    def after(self) -> VariantRow:
        """The variant in the app."""
        return next((row for row in self.variants if row.name == self.app.recipe), self.variants[-1])

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> ReportSummary:
        """Read a run's summary.

        Raises:
            ArtifactError: a key is missing or holds a value of another kind.
        """
        summary = _read(cls, value, "summary")
        if not summary.variants:
            raise ArtifactError("the summary has no variants", allowed="at least the uncompressed model")
        return summary


def _read(kind: type[T], value: Any, where: str) -> T:
    if not isinstance(value, Mapping):
        raise ArtifactError(f"{where} is not a table", found=type(value).__name__)
    hints = typing.get_type_hints(kind)
    values = {}
    for item in dataclasses.fields(kind):  # type: ignore[arg-type]
        optional = item.default is not dataclasses.MISSING or item.default_factory is not dataclasses.MISSING
        if item.name in value:
            values[item.name] = _convert(hints[item.name], value[item.name], f"{where}.{item.name}")
        elif not optional:
            raise ArtifactError(f"{where} has no {item.name!r}", do="make it with `pocketvlad run`")
    return kind(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _convert(arguments[0], value, where)
    if dataclasses.is_dataclass(hint):
        return _read(typing.cast(type, hint), value, where)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict and isinstance(value, Mapping):
        return {str(key): _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    allowed = getattr(hint, "__name__", str(hint))
    raise ArtifactError(f"{where} has a wrong type", found=repr(value)[:60], allowed=allowed)

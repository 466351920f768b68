"""What a run measured, as the report's summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketvlad import artifact, machine
from pocketvlad.android.results import SelfTestResult
from pocketvlad.compress.compressed import load_compressed
from pocketvlad.compress.sizes import LayerSize
from pocketvlad.evaluate.metrics import metric_name
from pocketvlad.evaluate.retrieval import RetrievalResult, compare, evaluate_descriptors
from pocketvlad.index import Visit, judging_matches, open_index
from pocketvlad.model.network import load_model
from pocketvlad.pipeline.pictures import (
    match_rows,
    query_changes,
    telling_queries,
    verdicts,
    weight_histogram,
)
from pocketvlad.pipeline.plan import BASELINE
from pocketvlad.pipeline.run import ProgramTimes, Run
from pocketvlad.report.summary import (
    AppInfo,
    DataInfo,
    FileRow,
    Histogram,
    ReportSummary,
    StageTime,
    Thresholds,
    VariantRow,
)
from pocketvlad.runtime.latency import Latency
from pocketvlad.schema import to_table
from pocketvlad.steps.export import Exported
from pocketvlad.steps.fit import Fitted
from pocketvlad.steps.package import Packaged, install_command

_COSINE_DIGITS = 6


@dataclass(frozen=True, eq=False)
class Outcome:
    """Files and measurements of a finished run, by variant (BASELINE and the recipes)."""

    sources: Mapping[str, Path]
    programs: Mapping[str, Path]
    descriptors: Mapping[str, np.ndarray]
    layers: Mapping[str, tuple[LayerSize, ...]]
    exported: Mapping[str, Exported]
    fitted: Fitted
    packaged: Packaged
    latency: Mapping[str, Latency]
    times: ProgramTimes
    index: Path
    visits: Sequence[Visit]
    apk: Path
    emulated: Sequence[SelfTestResult]


def summarize(run: Run, outcome: Outcome, *, commands: Sequence[str], report: Path) -> ReportSummary:
    """Everything the report and the final table show; ``report`` is where the page will lie."""
    results = {name: evaluate_descriptors(run.testing, found) for name, found in outcome.descriptors.items()}
    before, after = ((results[name], outcome.descriptors[name]) for name in (BASELINE, run.plan.app_recipe))
    thresholds = _thresholds(run, outcome)
    files = (*outcome.programs.values(), outcome.index, outcome.apk)
    return ReportSummary(
        title=run.plan.app.title,
        metric=metric_name(run.testing.metric),
        variants=tuple(_variant(run, outcome, results, name) for name in outcome.programs),
        app=_app(run, outcome, thresholds),
        layers=dict(outcome.layers),
        matches=match_rows(run.testing, before, after, telling_queries(run.testing, before, after)),
        data=_data(run),
        machine=machine.describe(),
        versions=artifact.versions(),
        emulated=tuple(result.to_json() for result in outcome.emulated),
        skipped=tuple(dict.fromkeys((*run.dataset.skipped, *outcome.fitted.skipped))),
        histograms=(_histogram(outcome, run.plan.app_recipe),),
        ops=outcome.times.ops,
        layer_times=outcome.times.layers,
        stages=tuple(
            StageTime(name, seconds, run.stages.inputs[name]) for name, seconds in run.stages.seconds.items()
        ),
        verdicts=verdicts(run.testing, before[0], after[0]),
        queries=query_changes(before[0], after[0]),
        thresholds=thresholds,
        whitening=outcome.fitted.whitening,
        files=tuple(FileRow(path.name, path.stat().st_size, artifact.file_sha256(path)) for path in files),
        plan=to_table(run.plan),
        commands=tuple(commands),
        report=str(report),
    )


def _variant(run: Run, outcome: Outcome, results: Mapping[str, RetrievalResult], name: str) -> VariantRow:
    """One row of the final table; accuracy and size are the program's own."""
    layers, descriptors = outcome.layers.get(name, ()), outcome.descriptors
    weights = sum(layer.weights for layer in layers)
    pruned = sum(layer.weights * layer.pruned for layer in layers)
    size, program = outcome.programs[name].stat().st_size, outcome.exported[name]
    return VariantRow(
        name=name,
        program_bytes=size,
        ratio=outcome.programs[BASELINE].stat().st_size / size,
        score=100 * results[name].score,
        change=compare(results[BASELINE], results[name]),
        cosine=float(np.einsum("nd,nd->n", descriptors[BASELINE], descriptors[name]).mean()),
        latency=outcome.latency[name],
        codes_bytes=sum(layer.mask + layer.codes for layer in layers),
        pruned=pruned / weights if weights else 0.0,
        convolutions=program.convolutions,
        convolutions_ms=program.convolutions_ms,
    )


def _app(run: Run, outcome: Outcome, thresholds: Thresholds) -> AppInfo:
    """The APK, and how many visitors' photos its index puts in the right place."""
    places, package = open_index(outcome.index), outcome.packaged.report
    return AppInfo(
        apk=str(outcome.apk),
        apk_bytes=outcome.apk.stat().st_size,
        index_bytes=outcome.index.stat().st_size,
        photos=len(places),
        recipe=run.plan.app_recipe,
        install=install_command(outcome.apk),
        abis=tuple(package.abis),
        min_sdk=package.min_sdk,
        visitors=len(outcome.visits),
        recognised=thresholds.named + thresholds.doubted,
    )


def _thresholds(run: Run, outcome: Outcome) -> Thresholds:
    """What the app's index answers its own photos and the visitors."""
    places = open_index(outcome.index)
    known, unknown = judging_matches(places)
    chosen = places.threshold
    found = outcome.visits
    shown = Counter((visit.right, chosen is None or visit.cosine >= chosen) for visit in found)
    return Thresholds(
        chosen=chosen,
        known=_sorted(known),
        unknown=_sorted(unknown),
        visitors=_sorted([visit.cosine for visit in found]),
        strangers=_sorted([visit.elsewhere for visit in found if visit.elsewhere is not None]),
        named=shown[True, True],
        doubted=shown[True, False],
        mistaken=shown[False, True],
        refused=shown[False, False],
    )


def _sorted(cosines: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(cosine), _COSINE_DIGITS) for cosine in np.sort(cosines))


def _histogram(outcome: Outcome, recipe: str) -> Histogram:
    """Weights of the largest layer before and after the app's recipe."""
    compressed = load_compressed(outcome.sources[recipe])
    name = max(compressed.layers, key=lambda layer: compressed.layers[layer].codes.size)
    before = dict(load_model(outcome.sources[BASELINE]).named_modules())[name].weight.detach().numpy()
    return weight_histogram(name, before, compressed.layers[name].dequantize())


def _data(run: Run) -> DataInfo:
    return DataInfo(
        datasets=run.plan.photos.datasets,
        fit_split=run.plan.photos.fit,
        fit_photos=len(run.fitting.photos),
        fit_places=len(run.fitting.places()),
        test_photos=len(run.testing.photos),
        test_places=len(run.testing.places()),
        queries=len(run.testing.queries),
    )

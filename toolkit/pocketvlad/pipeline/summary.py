"""What a run measured, as the dictionary in ``summary.json`` (read back by pocketvlad.report.summary)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pocketvlad import artifact, machine
from pocketvlad.commands import Values
from pocketvlad.compress.compressed import load_compressed
from pocketvlad.evaluate.retrieval import RetrievalResult, compare, evaluate_descriptors
from pocketvlad.index import open_index, recognised, search_index
from pocketvlad.model.netvlad import load_model
from pocketvlad.pipeline.stages import BASELINE, Run
from pocketvlad.runtime.runner import ProgramRunner

_MATCH_ROWS = 6
_HISTOGRAM_BINS = 121
_WHITENING = "whitening"


@dataclass(frozen=True, eq=False)
class Outcome:
    """Files and measurements of a finished run, by variant (BASELINE and the recipes)."""

    sources: Mapping[str, Path]
    programs: Mapping[str, Path]
    descriptors: Mapping[str, np.ndarray]
    latency: Mapping[str, Values]
    ops: Sequence[Values]
    app_program: Path
    index: Path
    visitors: Sequence[Path]
    apk: Path
    emulated: Sequence[Values]


def summarize(run: Run, outcome: Outcome) -> Values:
    """Everything the report and the final table show."""
    results = {name: evaluate_descriptors(run.testing, found) for name, found in outcome.descriptors.items()}
    layers = {name: run.figures[f"compress {name}"]["layers"] for name in run.recipes}
    plan = run.plan
    return {
        "title": plan.app.title,
        "variants": [_variant(run, outcome, results, name) for name in outcome.programs],
        "app": _app(run, outcome),
        "emulated": list(outcome.emulated),
        "layers": layers,
        "matches": _matches(run, outcome, results),
        "histograms": _histograms(outcome, plan.app_recipe),
        "ops": list(outcome.ops),
        "files": [_file(path) for path in (*outcome.programs.values(), outcome.index, outcome.apk)],
        "data": _data(run),
        "machine": machine.describe(),
        "versions": artifact.versions(),
        "skipped": [*run.dataset.skipped, *run.figures["model"]["skipped"]],
    }


def _variant(run: Run, outcome: Outcome, results: Mapping[str, RetrievalResult], name: str) -> Values:
    """One row of the final table; accuracy and size are the program's own."""
    descriptors, program = outcome.descriptors, outcome.programs[name]
    layers = run.figures[f"compress {name}"]["layers"] if name in run.recipes else []
    weights = sum(layer["weights"] for layer in layers)
    pruned = sum(layer["weights"] * layer["pruned"] for layer in layers)
    whitening = sum(layer["total"] for layer in layers if layer["layer"] == _WHITENING)
    size = program.stat().st_size
    return {
        "name": name,
        "program": program.name,
        "program_bytes": size,
        "codes_bytes": sum(layer["mask"] + layer["codes"] for layer in layers),
        "without_whitening_bytes": size - whitening if layers else None,
        "ratio": outcome.programs[BASELINE].stat().st_size / size,
        "pruned": pruned / weights if weights else 0.0,
        "map": 100 * results[name].score,
        "recalls": {str(n): 100 * share for n, share in results[name].recalls.items()},
        "drop": asdict(compare(results[BASELINE], results[name])),
        "cosine": float(np.einsum("nd,nd->n", descriptors[BASELINE], descriptors[name]).mean()),
        "cosine_to_torch": run.figures[f"program {name}"]["cosine"],
        "convolutions": run.figures[f"program {name}"].get("convolutions"),
        "convolutions_ms": run.figures[f"program {name}"].get("convolutions_ms", {}),
        **outcome.latency[name],
    }


def _app(run: Run, outcome: Outcome) -> Values:
    """The APK, and how many visitor's photos its index puts in the right place."""
    runner, places = ProgramRunner(outcome.app_program, threads=2), open_index(outcome.index)
    found = np.stack([runner.describe(path) for path in outcome.visitors])
    rows, _ = search_index(places, found, 1)
    right = recognised(places, rows[:, 0], run.testing)
    package = run.figures["package"]
    return {
        "apk": str(outcome.apk),
        "apk_bytes": outcome.apk.stat().st_size,
        "index_bytes": outcome.index.stat().st_size,
        "photos": len(places),
        "threshold": places.threshold,
        "recipe": run.plan.app_recipe,
        "visitors": len(right),
        "recognised": sum(right),
        "install": f"adb install -r {outcome.apk}",
        **{key: package[key] for key in ("abis", "min_sdk", "target_sdk", "signed")},
    }


def _matches(run: Run, outcome: Outcome, results: Mapping[str, RetrievalResult]) -> list[Values]:
    """Some queries with what the uncompressed and the app's model rank first."""
    photos, queries = run.testing.photos, run.testing.queries
    rows = []
    answered = [number for number, query in enumerate(queries) if query.positives]
    for number in answered[:: max(1, len(answered) // _MATCH_ROWS)]:
        query = queries[number]

        def match(name: str, number: int = number) -> Values:
            best = results[name].best[number]
            descriptors, query = outcome.descriptors[name], queries[number]
            cosine = float(descriptors[best] @ descriptors[query.photo])
            return {"photo": str(photos[best].path), "cosine": cosine, "right": best in query.positives}

        rows.append(
            {
                "query": str(photos[query.photo].path),
                "truth": str(photos[min(query.positives)].path),
                "place": photos[query.photo].place,
                "before": match(BASELINE),
                "after": match(run.plan.app_recipe),
            }
        )
    return rows[:_MATCH_ROWS]


def _histograms(outcome: Outcome, recipe: str) -> list[Values]:
    """Weights of the largest layer before and after the app's recipe."""
    compressed = load_compressed(outcome.sources[recipe])
    name = max(compressed.layers, key=lambda layer: compressed.layers[layer].codes.size)
    before = dict(load_model(outcome.sources[BASELINE]).named_modules())[name].weight.detach().numpy()
    after = compressed.layers[name].dequantize()
    limit = 4 * float(before.std())
    edges = np.linspace(-limit, limit, _HISTOGRAM_BINS)
    counts = [np.histogram(weights, edges)[0].tolist() for weights in (before, after)]
    return [{"layer": name, "edges": edges.tolist(), "before": counts[0], "after": counts[1]}]


def _file(path: Path) -> Values:
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": artifact.file_sha256(path)}


def _data(run: Run) -> Values:
    return {
        "datasets": list(run.plan.photos.datasets),
        "fit_split": run.plan.photos.fit,
        "fit_photos": len(run.fitting.photos),
        "fit_places": len(run.fitting.places()),
        "test_photos": len(run.testing.photos),
        "test_places": len(run.testing.places()),
        "queries": len(run.testing.queries),
    }

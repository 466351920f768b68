"""What each command does, from files to files: returns figures as plain values, prints nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocketvlad import artifact, machine
from pocketvlad.compress.compressed import CompressedModel, save_compressed
from pocketvlad.compress.post_training import compress_model
from pocketvlad.compress.sizes import layer_sizes
from pocketvlad.dataset import Dataset, Photo, open_dataset
from pocketvlad.errors import RecipeError
from pocketvlad.evaluate.describe import describe_photos, write_descriptors
from pocketvlad.evaluate.retrieval import RetrievalResult, compare, evaluate_descriptors
from pocketvlad.export.check import check_cosines, program_cosines
from pocketvlad.export.describer import Describer, open_describer, open_model
from pocketvlad.export.fold import EXACT, FAST, MIXED
from pocketvlad.export.latency import measure_latency
from pocketvlad.export.program import export_model
from pocketvlad.export.runner import ProgramRunner
from pocketvlad.index import (
    add_to_index,
    build_index,
    open_index,
    require_fingerprint,
    search_index,
    write_index,
)
from pocketvlad.model.backbones import build_backbone
from pocketvlad.model.fit import fit_model, load_photo_tensors
from pocketvlad.model.netvlad import ModelConfig, PlaceModel, load_model, save_model
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.recipe import load_recipe

Values = dict[str, Any]
Progress = Callable[[int, int], None]
# cosine to the torch model with the same weights, the worst photo; fast is bounded by no theory, only sanity
LEAST_COSINE = {EXACT: 0.9999, MIXED: 0.99, FAST: 0.0}
_CHECK_PHOTOS = 8
_SCRATCH_PHOTOS = 90


def parse_size(text: str) -> tuple[int, int]:
    """``480x640`` -> (height, width)."""
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    if not match:
        raise RecipeError("the size is not HEIGHTxWIDTH in pixels", found=repr(text), allowed="e.g. 480x640")
    return int(match[1]), int(match[2])


def megabytes(path: Path | str) -> float:
    """Size of a file in MB of 10^6 bytes."""
    return Path(path).stat().st_size / 1e6


def import_checkpoint_file(checkpoint: Path, out: Path, *, layout: str, force: bool) -> Values:
    from pocketvlad.importer import import_checkpoint, save_imported

    imported = import_checkpoint(checkpoint, layout)
    source = {"checkpoint": checkpoint.name, "sha256": artifact.file_sha256(checkpoint)}
    save_imported(out, imported, {**source, "layout": imported.layout}, force=force)
    holds = {"backbone": imported.backbone.name} if imported.backbone else {}
    if imported.model is not None:
        holds = imported.model.config.to_json()
    return {
        "layout": imported.layout,
        "out": str(out),
        "mb": megabytes(out),
        "notes": imported.notes,
        **holds,
    }


@dataclass(frozen=True)
class FitOptions:
    """Options of `pocketvlad fit`; ``weights`` None builds the backbone from the photos."""

    backbone: str
    weights: Path | None
    clusters: int
    dim: int
    size: str
    views: int
    seed: int


def fit_file(
    photos: str, out: Path, options: FitOptions, *, force: bool, progress: Progress | None = None
) -> Values:
    dataset = open_dataset(photos)
    height, width = parse_size(options.size)
    config = ModelConfig(options.backbone, options.clusters, options.dim or None, Preprocess(height, width))
    paths = [photo.path for photo in dataset.photos]
    backbone = make_backbone(config, options.weights, paths, options.seed)
    model, skipped = fit_model(
        config, backbone, paths, views=options.views or None, seed=options.seed, progress=progress
    )
    made_from = {
        "photos": len(paths) - len(skipped),
        "weights": artifact.file_sha256(options.weights) if options.weights else "the photos",
        "options": {key: str(value) for key, value in asdict(options).items()},
    }
    save_model(out, model, made_from, force=force)
    return {"out": str(out), "mb": megabytes(out), "skipped": skipped, **config.to_json()}


def make_backbone(
    config: ModelConfig, weights: Path | None, photos: Sequence[Path], seed: int
) -> torch.nn.Sequential:
    """The backbone with the weights of a file, or built from the photos themselves."""
    from pocketvlad.importer import read_backbone_weights

    if weights is not None:
        return build_backbone(config.backbone, read_backbone_weights(weights))
    from pocketvlad.model.scratch import init_backbone_from_photos

    backbone = build_backbone(config.backbone)
    tensors, _ = load_photo_tensors(photos[:: max(1, len(photos) // _SCRATCH_PHOTOS)], config)
    init_backbone_from_photos(backbone, torch.stack(tensors), seed)
    return backbone


def compress_file(
    model: Path,
    out: Path,
    recipe: str,
    photos: str | None,
    *,
    max_drop: float | None,
    max_mb: float | None,
    force: bool,
    progress: Progress | None = None,
) -> Values:
    """Compress a model file; see :func:`pocketvlad.compress.compress_model`."""
    source = load_model(model)
    calibration = calibration_tensor(photos, source.config) if photos else None
    chosen = load_recipe(recipe)
    compressed = compress_model(source, chosen, calibration=calibration, progress=progress)
    made_from = {"model": artifact.file_sha256(model), "recipe": chosen.name, "photos": photos}
    save_compressed(out, compressed, made_from, force=force)
    layers = [size.as_row() for size in layer_sizes(compressed)]
    return {"out": str(out), "mb": megabytes(out), "recipe": chosen.name, "layers": layers}


def calibration_tensor(photos: str, config: ModelConfig) -> torch.Tensor:
    """All photos of a dataset that can be read, float32 [N, 3, H, W]."""
    paths = [photo.path for photo in open_dataset(photos).photos]
    tensors, _ = load_photo_tensors(paths, config)
    return torch.stack(tensors)


def describe_dataset(
    file: Path, dataset: Dataset, *, threads: int, progress: Progress | None = None
) -> tuple[np.ndarray, Dataset, list[str]]:
    """Descriptors float32 [n, dim] of a dataset's readable photos, that dataset, and the photos skipped."""
    return describe_photos(open_describer(file, threads=threads).describe, dataset, progress=progress)


def evaluate_file(
    file: Path, dataset: str, baseline: Path | None, *, threads: int, progress: Progress | None = None
) -> Values:
    photos = open_dataset(dataset)
    result, skipped = score(file, photos, threads=threads, progress=progress)
    values: Values = {
        "file": str(file),
        "dataset": photos.name,
        **result.as_values(),
        "skipped_photos": skipped,
    }
    if baseline is not None:
        reference, _ = score(baseline, photos, threads=threads, progress=progress)
        difference = compare(reference, result)
        values |= {"baseline": reference.as_values(), "difference": asdict(difference)}
    return values


def score(
    file: Path, dataset: Dataset, *, threads: int, progress: Progress | None = None
) -> tuple[RetrievalResult, list[str]]:
    """Retrieval accuracy of a model, compressed model or program on a dataset."""
    descriptors, readable, skipped = describe_dataset(file, dataset, threads=threads, progress=progress)
    return evaluate_descriptors(readable, descriptors), skipped


def describe_file(
    file: Path, photos: str, out: Path, *, threads: int, force: bool, progress: Progress | None = None
) -> Values:
    dataset = open_dataset(photos)
    descriptors, readable, skipped = describe_dataset(file, dataset, threads=threads, progress=progress)
    write_descriptors(out, [photo.name for photo in readable.photos], descriptors, force=force)
    return {"out": str(out), "photos": len(descriptors), "dim": descriptors.shape[1], "skipped": skipped}


def export_file(
    model: Path, out: Path, *, size: str | None, semantics: str, photos: str | None, force: bool
) -> Values:
    """Export and, on photos if given, check the written program against the torch model."""
    source = open_model(model)
    preprocess = source.config.preprocess
    if size is not None:
        height, width = parse_size(size)
        preprocess = Preprocess(height, width, preprocess.mean, preprocess.std)
    made_from = {"file": model.name, "sha256": artifact.file_sha256(model)}
    with artifact.atomic_path(out, force=force) as temporary:
        export_model(
            source, temporary, preprocess=preprocess, semantics=semantics, made_from=made_from, force=True
        )
        values: Values = {
            "out": str(out),
            "mb": megabytes(temporary),
            "size": f"{preprocess.height}x{preprocess.width}",
        }
        if photos is not None:
            paths = [photo.path for photo in open_dataset(photos).photos[:_CHECK_PHOTOS]]
            values["worst_cosine"] = check_program(temporary, source, paths, preprocess, semantics)
    return values


def check_program(
    program: Path,
    model: PlaceModel | CompressedModel,
    photos: Sequence[Path],
    preprocess: Preprocess,
    semantics: str,
) -> float:
    """The worst cosine between a program and the torch model with the same weights, on real photos.

    Raises:
        ExportError: it is below LEAST_COSINE of its semantics (XNNPACK float32 counts as exact).
    """
    compressed = isinstance(model, CompressedModel)
    module = model.to_torch() if isinstance(model, CompressedModel) else model
    runner = ProgramRunner(program)
    cosines = program_cosines(runner.describe_tensor, module, photos, preprocess)
    check_cosines(cosines, LEAST_COSINE[semantics] if compressed else LEAST_COSINE[EXACT])
    return float(cosines.min())


def require_program(path: Path, threads: int) -> Describer:
    """A describer for an index: only a program will do, since the phone runs that."""
    describer = open_describer(path, threads=threads)
    if describer.kind != "program":
        raise RecipeError(
            f"{path} is not a program", found=describer.kind, allowed="a .pte; run `pocketvlad export`"
        )
    return describer


def index_build_file(
    program: Path,
    photos: str,
    out: Path,
    vectors: str,
    *,
    threads: int,
    force: bool,
    progress: Progress | None = None,
) -> Values:
    describer = require_program(program, threads)
    info = {"program": artifact.file_sha256(program), "photos": photos}
    index, skipped = build_index(
        describer.describe,
        open_dataset(photos),
        describer.fingerprint,
        dtype=vectors,
        info=info,
        progress=progress,
    )
    write_index(out, index, force=force)
    return {
        "out": str(out),
        "photos": len(index),
        "mb": megabytes(out),
        "threshold": index.threshold,
        "skipped": skipped,
    }


def index_add_file(
    path: Path, program: Path, photos: str, *, replace: bool, threads: int, progress: Progress | None = None
) -> Values:
    index, describer = open_index(path), require_program(program, threads)
    require_fingerprint(index, describer.fingerprint, program.name)
    added, skipped = build_index(
        describer.describe, open_dataset(photos), describer.fingerprint, progress=progress, dtype="float32"
    )
    joined = add_to_index(index, added, replace_names=replace)
    write_index(path, joined, force=True)
    return {"out": str(path), "added": len(added), "photos": len(joined), "skipped": skipped}


def index_info_file(path: Path) -> Values:
    index = open_index(path)
    return {
        "photos": len(index),
        "places": len({entry.label for entry in index.entries}),
        "dim": index.dim,
        "vectors": index.vectors.dtype.name,
        "threshold": index.threshold,
        "fingerprint": index.fingerprint.hex(),
        "mb": megabytes(path),
        "info": dict(index.info),
    }


def index_search_file(
    path: Path, program: Path, photos: Sequence[Path], *, top: int, draw: Path | None
) -> Values:
    """Matches of each photo; ``draw`` a PNG with the photos and their matches."""
    index, describer = open_index(path), require_program(program, 2)
    require_fingerprint(index, describer.fingerprint, program.name)
    dataset = Dataset("search", tuple(Photo(photo, str(photo)) for photo in photos), (), ())
    descriptors, readable, skipped = describe_photos(describer.describe, dataset)
    rows, cosines = search_index(index, descriptors, top)
    queries = []
    for photo, found, scores in zip(readable.photos, rows, cosines, strict=True):
        matches = [
            {
                "place": index.entries[row].label,
                "cosine": float(score),
                "photo": index.entries[row].name,
                "row": int(row),
            }
            for row, score in zip(found, scores, strict=True)
        ]
        known = index.threshold is None or scores[0] >= index.threshold
        queries.append({"photo": photo.name, "known": bool(known), "matches": matches})
    if draw is not None:
        from pocketvlad.report.drawing import draw_matches

        draw_matches(draw, [photo.path for photo in readable.photos], rows, cosines, index)
    return {"index": str(path), "threshold": index.threshold, "queries": queries, "skipped": skipped}


def package_file(
    program: Path,
    index: Path,
    out: Path,
    photos: Sequence[Path],
    title: str,
    *,
    keystore: Path | None,
    password: str | None,
    force: bool,
) -> Values:
    """Build, sign and check the APK; photos become the app's self-test."""
    from pocketvlad.android import selftest
    from pocketvlad.android.apk import build_apk
    from pocketvlad.android.cache import cache_root
    from pocketvlad.android.native import build_libraries
    from pocketvlad.android.signing import debug_keys, load_keys

    runner, places = ProgramRunner(program), open_index(index)
    require_fingerprint(places, runner.info.fingerprint, program.name)
    keys = load_keys(keystore, password) if keystore else debug_keys(cache_root() / "debug.keystore")
    config = {"title": title, "threshold": places.threshold, "fingerprint": places.fingerprint.hex()}
    report = build_apk(
        out,
        program=program,
        index=index,
        libraries=build_libraries(),
        config=config,
        selftest=selftest.build(program, index, photos),
        keys=keys,
        force=force,
    )
    return {"out": str(out), **asdict(report), "install": f"adb install -r {out}"}


def check_file(path: Path) -> Values:
    from pocketvlad.android.apk import check_apk

    return {"apk": str(path), "accepted": True, **asdict(check_apk(path))}


def phone_install_file(apk: Path, serial: str | None) -> Values:
    from pocketvlad.android import phone

    return phone.install(apk, serial=serial)


def phone_test_file(apk: Path, *, emulate: bool, cpu: str | None, serial: str | None) -> Values:
    """The self-test on a real phone, or the APK's own arm64 libraries on this machine."""
    from pocketvlad.android import phone
    from pocketvlad.android.emulate import run_selftest

    if emulate:
        return run_selftest(apk, cpu=cpu or "max")
    return phone.test(apk, serial=serial)


def phone_bench_file(apk: Path, serial: str | None) -> Values:
    from pocketvlad.android import phone

    return phone.bench(apk, serial=serial)


def bench_files(programs: Sequence[Path], *, runs: int, threads: int) -> Values:
    names = {str(path): path for path in programs}
    times = measure_latency(names, runs=runs, threads=threads)
    rows = [{"program": name, "mb": megabytes(names[name]), **asdict(times[name])} for name in names]
    return {"machine": machine.describe(), "threads": threads, "programs": rows}

"""Programs: exported, checked against torch, timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pocketvlad import artifact, machine
from pocketvlad.commands import Values
from pocketvlad.commands.classify import export_classifier_file, open_classifier
from pocketvlad.commands.files import megabytes, parse_size
from pocketvlad.compress.compressed import CompressedModel
from pocketvlad.compress.recipe import LUT
from pocketvlad.dataset import open_dataset
from pocketvlad.export.check import check_cosines, program_cosines
from pocketvlad.export.fold import EXACT, FAST, MIXED, semantics_of, torch_model
from pocketvlad.export.program import export_model
from pocketvlad.model.netvlad import PlaceModel
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.runtime.describer import open_model
from pocketvlad.runtime.latency import measure_latency
from pocketvlad.runtime.profile import profile_program
from pocketvlad.runtime.runner import ProgramRunner

# cosine to the torch model with the same weights, the worst photo; fast is bounded by no theory, only sanity
LEAST_COSINE = {EXACT: 0.9999, MIXED: 0.97, FAST: 0.0}
_CHECK_PHOTOS = 8


def export_file(
    model: Path,
    out: Path,
    *,
    size: str | None,
    semantics: str | None,
    convolutions: str | None = None,
    photos: str | None,
    force: bool,
) -> Values:
    """Export and, on photos if given, check the written program against the torch model."""
    classifier = open_classifier(model)
    if classifier is not None:
        plain = size is None and photos is None and convolutions is None
        return export_classifier_file(
            model, classifier, out, semantics=semantics or MIXED, plain=plain, force=force
        )
    source = open_model(model)
    preprocess = source.config.preprocess
    if size is not None:
        height, width = parse_size(size)
        preprocess = Preprocess(height, width, preprocess.mean, preprocess.std)
    made_from = {"file": model.name, "sha256": artifact.file_sha256(model)}
    with artifact.atomic_path(out, force=force) as temporary:
        export_model(
            source,
            temporary,
            preprocess=preprocess,
            semantics=semantics,
            convolutions=convolutions,
            made_from=made_from,
            force=True,
        )
        values: Values = {
            "out": str(out),
            "mb": megabytes(temporary),
            "size": f"{preprocess.height}x{preprocess.width}",
            **chosen_convolutions(temporary),
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
    semantics: str | None = None,
) -> float:
    """The worst cosine between a program and the torch model with the same weights, on real photos.

    Raises:
        ExportError: it is below LEAST_COSINE of its semantics (XNNPACK float32 counts as exact).
    """
    compressed = isinstance(model, CompressedModel)
    runner = ProgramRunner(program)
    kind = runner.info.convolutions or LUT
    module = torch_model(model, kind) if isinstance(model, CompressedModel) else model
    cosines = program_cosines(runner.describe_tensor, module, photos, preprocess)
    check_cosines(
        cosines, LEAST_COSINE[semantics_of(model, semantics)] if compressed else LEAST_COSINE[EXACT]
    )
    return float(cosines.min())


def chosen_convolutions(program: Path) -> Values:
    """What a program says of its convolutions, for people; nothing of an uncompressed one."""
    info = ProgramRunner(program).info
    if info.convolutions is None:
        return {}
    measured = {"convolutions_ms": info.convolutions_ms} if info.convolutions_ms else {}
    return {"convolutions": info.convolutions, **measured}


def bench_files(programs: Sequence[Path], *, runs: int, threads: int, profile: bool = False) -> Values:
    """Times of programs, and with ``profile`` those of their ops by program."""
    names = {str(path): path for path in programs}
    times = measure_latency(names, runs=runs, threads=threads)
    rows = [{"program": name, "mb": megabytes(names[name]), **asdict(times[name])} for name in names]
    values: Values = {"machine": machine.describe(), "threads": threads, "programs": rows}
    if profile:
        ops = {name: profile_program(path, runs=runs, threads=threads) for name, path in names.items()}
        values["ops"] = {name: [asdict(row) for row in found] for name, found in ops.items()}
    return values

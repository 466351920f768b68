"""A model -> a program, checked against torch on photos."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from pocketvlad import artifact
from pocketvlad.compress.compressed import Compressed, open_model
from pocketvlad.compress.recipe import LUT
from pocketvlad.dataset import Dataset
from pocketvlad.dataset.tensors import open_tensors
from pocketvlad.export.check import check_cosines, program_cosines
from pocketvlad.export.pack import EXACT, FAST, MIXED, semantics_of, torch_model
from pocketvlad.export.program import export_program
from pocketvlad.model.network import Network
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.outputs import require_outputs
from pocketvlad.progress import Progress
from pocketvlad.runtime.runner import ProgramRunner
from pocketvlad.steps.common import MEAN_COSINE, Result, dataset_of, megabytes, weak_warning

# cosine to the torch model with the same weights, the worst photo; fast is bounded by no theory, only sanity
LEAST_COSINE = {EXACT: 0.9999, MIXED: 0.97, FAST: 0.0}
_CHECK_PHOTOS = 8


@dataclass(frozen=True)
class Exported(Result):
    """A program's file.

    Attributes:
        out, mb: the file written.
        size: of its input, ``HEIGHTxWIDTH``.
        worst_cosine: between its descriptors and those of the torch model with the same weights, on photos; None
            without photos.
        mean_cosine: between compressed and uncompressed descriptors, as compression measured it on its photos.
        convolutions: what computes them, ``lut``, ``lut-int8`` or ``int8``; None for an uncompressed model.
        convolutions_ms: medians of the backbone by kind, where the choice was measured.
        skipped: one line for each photo that could not be read.
        warning: that the answers are far from the uncompressed model's; None where they are not, or not known.
    """

    out: str
    mb: float
    size: str
    worst_cosine: float | None = None
    mean_cosine: float | None = None
    convolutions: str | None = None
    convolutions_ms: dict[str, float] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    warning: str | None = None


def export(
    model: Path,
    out: Path,
    *,
    size: tuple[int, int] | None = None,
    semantics: str | None = None,
    convolutions: str | None = None,
    photos: str | Path | Dataset | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Export and, on photos if given, check the written program against the torch model.

    Args:
        model: a model or compressed model.
        out: the ``.pte``.
        size: (height, width) of the input; None: the model's own.
        semantics, convolutions: see :func:`pocketvlad.export.program.export_program`.
        photos: some of them are looked at.
        force: overwrite ``out``.
        progress: of the check's photos.

    Raises:
        ExportError: the model cannot be exported, or its program computes something else.
    """
    require_outputs([out], [model], force=force)
    source = open_model(model)
    dataset = None if photos is None else dataset_of(photos)
    preprocess = source.config.preprocess
    if size is not None:
        preprocess = replace(preprocess, height=size[0], width=size[1])
    made_from = {"file": model.name, "sha256": artifact.file_sha256(model)}
    worst: float | None = None
    skipped: tuple[str, ...] = ()
    with artifact.atomic_path(out, force=force) as temporary:
        export_program(
            source,
            temporary,
            preprocess=preprocess,
            semantics=semantics,
            convolutions=convolutions,
            made_from=made_from,
            force=True,
        )
        runner = ProgramRunner(temporary)
        if dataset is not None:
            worst, skipped = check_program(runner, source, dataset, preprocess, semantics)
    figures = source.figures if isinstance(source, Compressed) else {}
    return Exported(
        str(out),
        megabytes(out),
        f"{preprocess.height}x{preprocess.width}",
        worst,
        figures.get(MEAN_COSINE),
        runner.info.convolutions,
        runner.info.convolutions_ms,
        skipped,
        weak_warning(figures),
    )


def check_program(
    runner: ProgramRunner,
    model: Network | Compressed,
    dataset: Dataset,
    preprocess: Preprocess,
    semantics: str | None = None,
) -> tuple[float, tuple[str, ...]]:
    """The worst cosine between a program and the torch model with the same weights, on some photos of a dataset.

    Returns:
        The cosine, and one line for each photo that could not be read.

    Raises:
        ExportError: it is below LEAST_COSINE of its semantics (XNNPACK float32 counts as exact).
        PhotoError: no photo could be read.
    """
    module, allowed = model, LEAST_COSINE[EXACT]
    if isinstance(model, Compressed):
        module = torch_model(model, runner.info.convolutions or LUT)  # type: ignore[assignment]
        allowed = LEAST_COSINE[semantics_of(model, semantics)]
    tensors = open_tensors(dataset, preprocess, most=_CHECK_PHOTOS)
    cosines = program_cosines(runner.describe_tensor, module, list(tensors))  # type: ignore[arg-type, call-overload]
    check_cosines(cosines, allowed)
    return float(cosines.min()), tensors.skipped

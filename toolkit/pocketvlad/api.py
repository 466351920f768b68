"""The public functions: the steps from a checkpoint or photos to an Android app, in memory or on files.

Every error a caller can cause is a :class:`pocketvlad.PocketvladError` that says in one line what failed, what was
found, what is allowed and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pocketvlad.dataset import Dataset
from pocketvlad.errors import CheckpointError, RecipeError, of_the_workstation
from pocketvlad.progress import Progress
from pocketvlad.runtime.describer import describer_of
from pocketvlad.runtime.runner import ProgramRunner
from pocketvlad.steps.common import dataset_of
from pocketvlad.steps.evaluate import Evaluation, evaluation_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pocketvlad.compress.compressed import Compressed
    from pocketvlad.compress.modules import Inputs
    from pocketvlad.compress.recipe import Recipe
    from pocketvlad.model.network import Network

Photos = str | Path | Dataset
Program = ProgramRunner


@of_the_workstation
def load(
    path: str | Path, *, into: nn.Module | None = None, inputs: Inputs | None = None
) -> Network | Compressed:
    """A model or a compressed model from a file of :func:`save`.

    Args:
        path: the ``.safetensors`` file.
        into: for the codes of a module of your own, that module.
        inputs: its inputs as :func:`compress` had them; the first is looked at.

    Raises:
        ArtifactError: missing, damaged, or no such file.
    """
    from pocketvlad.compress.compressed import load_compressed, open_model
    from pocketvlad.compress.modules import graph_of

    if into is None:
        return open_model(path)
    return load_compressed(path, graph_of(into, inputs))


@of_the_workstation
def import_checkpoint(
    path: str | Path,
    *,
    layout: str = "auto",
    classifier: bool = False,
    size: tuple[int, int] | None = None,
    preprocess: str = "ours",
) -> Network:
    """A model from a public checkpoint.

    Args:
        path: the checkpoint; nothing in it is ever run.
        layout: its layout's name; ``auto`` finds it.
        classifier: a torchvision classifier as a whole, which gives scores.
        size: height and width of the input, or by other rules than ours of the photos; None: the layout's own.
        preprocess: ``ours``, or ``hloc`` or ``vpr-evaluation`` to see what they see: photos as they are stored, EXIF
            ignored, of at most 1024 pixels a side by hloc's rule, a transformer's sides rounded to whole patches.

    Raises:
        RecipeError: a size the model cannot take.
        CheckpointError: it cannot be read, is of no known layout, or holds a backbone alone.
    """
    from pocketvlad.importer.checkpoint import import_checkpoint as read_checkpoint
    from pocketvlad.steps.importing import classifier_of

    imported = read_checkpoint(path, layout, size, preprocess)
    if classifier:
        return classifier_of(imported, Path(path))
    if imported.model is None:
        raise CheckpointError(
            f"{path} holds a backbone alone", found=imported.layout, do="fit a model to it: fit(…, weights=…)"
        )
    return imported.model


@of_the_workstation
def fit(
    backbone: str,
    photos: Photos,
    *,
    weights: str | Path | None = None,
    head: str = "netvlad",
    clusters: int = 64,
    dim: int | str = 512,
    size: tuple[int, int] = (480, 640),
    views: int = 0,
    whitening: float | str = "auto",
    seed: int = 0,
    progress: Progress | None = None,
) -> Network:
    """A model fitted to photos: a head initialised from them, a PCA whitening. Nothing is trained.

    Args:
        backbone: for example ``squeezenet1_1``.
        photos: ``KIND:PATH``, for example ``folder:photos``.
        weights: of the backbone, a file or ``package:NAME``; None builds it from the photos.
        head: ``netvlad`` or ``gem``.
        clusters: K of NetVLAD.
        dim: dimensions after whitening; 0: none; ``auto``: chosen.
        size: (height, width) of the input, pixels.
        views: per photo for the whitening; 0: as many as it needs.
        whitening: its strength: ``full``, ``pca``, a number from 0 (PCA alone) to 1 (full), or ``auto``: chosen on
            places that are held out of the fit in turns.
        seed: of every random choice.
        progress: called with what is done and in all.

    Raises:
        PhotoError: too few photos, or none that can be read.
    """
    from pocketvlad.steps.fit import fitted_network
    from pocketvlad.steps.fit_options import FitOptions
    from pocketvlad.steps.whitening import tensors_to_fit

    options = FitOptions(backbone, weights, head, clusters, dim, *size, views, seed, whitening)
    config = options.config()
    tensors = tensors_to_fit(photos, config.preprocess, config.dim)
    return fitted_network(options, tensors, progress=progress).network


@of_the_workstation
def compress(
    model: nn.Module,
    recipe: str | Path | Recipe = "auto",
    *,
    photos: Photos | None = None,
    inputs: Inputs | None = None,
    max_mb: float | None = None,
    max_drop: float | None = None,
    progress: Progress | None = None,
) -> Compressed:
    """Compress a model, or any module of convolutions and linear layers.

    Args:
        model: one of ours, or any ``torch.nn.Module``; left as it is.
        recipe: a shipped recipe's name, a TOML file, or a recipe.
        photos: that calibrate one of our models, ``KIND:PATH``.
        inputs: of any other module: float32 [N, ...], or for each example a tuple of arguments, a batch of 1.
        max_mb: instead of a recipe, the most accurate program of at most so many MB (10^6 bytes).
        max_drop: instead of a recipe, the smallest program that loses at most so many points.
        progress: called with what is done and in all.

    Returns:
        The compressed model. ``left`` names the layers that stay float32.

    Raises:
        RecipeError: the recipe cannot be read or does not fit, or calibrates and has nothing to calibrate on.
    """
    from pocketvlad.compress.modules import compress_module
    from pocketvlad.compress.post_training import compress_network
    from pocketvlad.dataset.tensors import open_tensors
    from pocketvlad.model.network import Network
    from pocketvlad.steps.search import Limits, Search

    if not isinstance(model, Network):
        if photos is not None:
            raise RecipeError("photos calibrate models of ours", found=type(model).__name__, do="give inputs")
        return compress_module(model, _recipe(recipe), inputs, progress)
    if max_mb is not None or max_drop is not None:
        if photos is None:
            raise RecipeError("a search measures on photos of known places", do="give it some")
        return Search(model, dataset_of(photos), Limits(max_drop, max_mb), progress).run().compressed
    chosen = _recipe(recipe)
    if photos is None or not chosen.needs_photos:
        return compress_network(model, chosen, calibration=inputs, progress=progress)
    tensors = open_tensors(dataset_of(photos), model.config.preprocess)
    return compress_network(model, chosen, calibration=tensors.calibration(), progress=progress)


def _recipe(recipe: str | Path | Recipe) -> Recipe:
    from pocketvlad.compress.recipe import Recipe, load_recipe

    return recipe if isinstance(recipe, Recipe) else load_recipe(recipe)


@of_the_workstation
def save(model: Network | Compressed, out: str | Path, *, force: bool = False) -> Path:
    """Write a model or a compressed model, at once or not at all.

    Raises:
        ArtifactError: ``out`` exists (and ``force`` is false) or cannot be written.
    """
    from pocketvlad.compress.compressed import Compressed, save_compressed
    from pocketvlad.model.network import save_model

    if isinstance(model, Compressed):
        save_compressed(out, model, {}, force=force)
    else:
        save_model(out, model, {}, force=force)
    return Path(out)


@of_the_workstation
def export(
    model: nn.Module | Compressed,
    out: str | Path,
    *,
    size: tuple[int, int] | None = None,
    example: Tensor | Sequence[Tensor] | None = None,
    semantics: str | None = None,
    convolutions: str | None = None,
    force: bool = False,
) -> Path:
    """Write the ExecuTorch program (``.pte``) of a model.

    Args:
        model: compressed, its layers compute from packed codes; any other becomes float32 of XNNPACK.
        out: the file.
        size: (height, width) of the input of one of our models; None: its own.
        example: one input of any other module, a batch of 1: a tensor, or a tuple of arguments.
        semantics: ``mixed``, ``exact`` or ``fast``; None: as the recipe says.
        convolutions: ``lut``, ``int8`` or ``measured``; None: as the recipe says.
        force: overwrite ``out``.

    Raises:
        ExportError: the model cannot be exported, or the phone's runtime lacks one of its ops.
    """
    from torch import Tensor

    from pocketvlad.compress.compressed import Compressed
    from pocketvlad.export.program import export_program
    from pocketvlad.model.network import Network

    preprocess = None
    if size is not None and isinstance(model, (Network, Compressed)):
        preprocess = replace(model.config.preprocess, height=size[0], width=size[1])
    inputs = (example,) if isinstance(example, Tensor) else example
    export_program(
        model,
        out,
        preprocess=preprocess,
        example=inputs,
        semantics=semantics,
        convolutions=convolutions,
        force=force,
    )
    return Path(out)


def open_program(path: str | Path, *, threads: int | None = None) -> Program:
    """A program ready to be called: ``program(photo)`` -> float32 [dim].

    A photo is a path, or a frame of a camera: uint8 [H, W, 3] in RGB (``order="bgr"``: OpenCV's BGR), or grey [H, W].

    Raises:
        ArtifactError: not a program, damaged, or not one of ours.
    """
    return ProgramRunner(path, threads=threads)


@of_the_workstation
def evaluate(
    model: Program | Network | Compressed | str | Path,
    photos: Photos,
    *,
    baseline: Program | Network | Compressed | str | Path | None = None,
    queries: str | Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """mAP or Recall@N of a model or program on photos of known places; top-1 and top-5 of a classifier.

    Args:
        model: what is measured, open or as a file.
        photos: ``KIND:PATH`` with ground truth.
        baseline: another one to compare with, in points with a 95% interval.
        queries: a folder of the photos that ask; ``photos`` are then the map alone.
        progress: called with photos done and in all.
    """
    name = (
        str(getattr(model, "path", model)) if isinstance(model, (ProgramRunner, str, Path)) else "the model"
    )
    before = None if baseline is None else describer_of(baseline)
    dataset = dataset_of(photos, queries)
    return evaluation_of(describer_of(model), name, dataset, before, progress=progress)


@of_the_workstation
def package(
    program: str | Path,
    index: str | Path,
    out: str | Path,
    *,
    photos: Sequence[str | Path] = (),
    title: str = "Pocketvlad",
    force: bool = False,
) -> Path:
    """Write a signed, installable APK with a program and an index inside.

    Args:
        program, index: files that belong together.
        out: the APK.
        photos: for the app's self-test.
        title: shown by the app.
        force: overwrite ``out``.

    Raises:
        IndexFormatError: the index belongs to another program.
        MissingToolError: a tool that builds the app's library is missing.
    """
    from pocketvlad.android.package import package as package_app

    chosen = [Path(photo) for photo in photos]
    package_app(Path(out), program=Path(program), index=Path(index), photos=chosen, title=title, force=force)
    return Path(out)

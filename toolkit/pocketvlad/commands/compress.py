"""Compression of a model file: by a recipe, with or without fine-tuning, or by a search."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pocketvlad import artifact
from pocketvlad.commands import Progress, Values
from pocketvlad.commands.classify import compress_classifier_file, open_classifier
from pocketvlad.commands.files import megabytes
from pocketvlad.commands.search import Limits, Search
from pocketvlad.commands.training import StateFolder, fine_tune
from pocketvlad.compress.compressed import CompressedModel, save_compressed
from pocketvlad.compress.post_training import compress_model
from pocketvlad.compress.recipe import Recipe, load_recipe
from pocketvlad.compress.sizes import layer_sizes
from pocketvlad.dataset import Dataset, open_dataset
from pocketvlad.dataset.tensors import open_tensors
from pocketvlad.errors import RecipeError
from pocketvlad.model.netvlad import load_model

AUTO = "auto"  # the only recipe a search may replace


def compress_file(
    model: Path,
    out: Path,
    recipe: str,
    photos: str | None,
    limits: Limits,
    *,
    force: bool,
    progress: Progress,
    device: str = "cpu",
) -> Values | None:
    """Compress a model file.

    Under torchrun a recipe that trains is trained by all processes; the first one writes and returns the
    result, the others return None.

    Args:
        model: the uncompressed model's file.
        out: the file to write.
        recipe: name or TOML file; only ``auto`` where there are limits.
        photos: ``KIND:PATH`` that calibrates, trains or validates.
        limits: of size or accuracy; a search then takes the recipe's place.
        force: overwrite ``out``, and throw away another run's unfinished training.
        progress: of everything.
        device: that fine-tuning runs on, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        PocketvladError: options that do not go together, photos that are needed and missing, and whatever
            the stages raise.
    """
    artifact.require_new(out, force=force)
    classifier = open_classifier(model)
    if classifier is not None:
        return compress_classifier_file(
            model, classifier, out, recipe, budget=limits.given, force=force, progress=progress
        )
    chosen = load_recipe(recipe)
    dataset = open_dataset(photos) if photos is not None else None
    _check_options(recipe, chosen, dataset, limits)
    figures: Values = {}
    if dataset is not None and limits.given:
        found = Search(load_model(model), dataset, limits, progress).run()
        compressed, figures = found.compressed, {**found.compressed.figures, "tried": list(found.tried)}
    elif dataset is not None and chosen.needs_labels:
        trained = fine_tune(model, chosen, dataset, out, afresh=force, progress=progress, device=device)
        if trained is None:
            return None
        compressed = trained.compressed
        figures = {**compressed.figures, "skipped": list(trained.skipped)}
    else:
        compressed = _calibrated(model, chosen, dataset, progress)
    name = str(compressed.recipe["name"])
    made_from = {"model": artifact.file_sha256(model), "recipe": name, "photos": photos}
    save_compressed(out, compressed, made_from, force=force)
    if chosen.needs_labels:
        StateFolder(out).remove()
    layers = [size.as_row() for size in layer_sizes(compressed)]
    return {"out": str(out), "mb": megabytes(out), "recipe": name, **figures, "layers": layers}


def _check_options(name: str, recipe: Recipe, dataset: Dataset | None, limits: Limits) -> None:
    add = "add --photos KIND:PATH"
    if limits.given and name != AUTO:
        raise RecipeError(
            "a search chooses the recipe itself",
            found=f"--recipe {name}",
            allowed=f"--recipe {AUTO}, or none",
        )
    if limits.given and dataset is None:
        raise RecipeError("--max-drop and --max-mb measure on photos of known places", do=add)
    if recipe.needs_labels and dataset is None:
        raise RecipeError(f"recipe {recipe.name} trains on photos of known places", do=add)


def _calibrated(model: Path, recipe: Recipe, dataset: Dataset | None, progress: Progress) -> CompressedModel:
    source, calibration = load_model(model), None
    if dataset is not None and recipe.needs_photos:
        tensors = open_tensors(dataset, source.config.preprocess, progress=_reading(progress))
        calibration = tensors.calibration()
    return compress_model(source, recipe, calibration=calibration, progress=progress)


def _reading(progress: Progress) -> Callable[[int, int], None]:
    return lambda done, total: progress(done, total, "reading photos")

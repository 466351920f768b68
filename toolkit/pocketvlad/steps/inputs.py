"""What a command is given, opened before anything large is loaded: a file that will not do is said at once.

Nothing here needs torch. The steps look again, since they are called from Python too.
"""

from __future__ import annotations

from pathlib import Path

from pocketvlad import artifact
from pocketvlad.compress.recipe import Recipe, load_recipe
from pocketvlad.dataset import Dataset
from pocketvlad.errors import RecipeError
from pocketvlad.importer.files import require_checkpoint
from pocketvlad.importer.packages import weights_file
from pocketvlad.model.kinds import COMPRESSED, kind_of_model
from pocketvlad.steps.common import dataset_of


def of_import(checkpoint: Path, out: Path, *, force: bool) -> None:
    """Raises CheckpointError or ArtifactError."""
    artifact.require_new(out, force=force)
    require_checkpoint(checkpoint)


def of_fit(photos: str, weights: str | None, out: Path, *, force: bool) -> Dataset:
    """The photos; raises CheckpointError, DatasetError or ArtifactError."""
    artifact.require_new(out, force=force)
    require_weights(weights)
    return dataset_of(photos)


def of_whiten(model: Path, photos: str, out: Path, *, force: bool) -> Dataset:
    """The photos; raises DatasetError, RecipeError or ArtifactError."""
    artifact.require_new(out, force=force)
    require_uncompressed(model, "whiten")
    return dataset_of(photos)


def of_compress(
    model: Path, recipe: str, photos: str | None, out: Path, *, force: bool
) -> tuple[Recipe, Dataset | None]:
    """The recipe and the photos; raises DatasetError, RecipeError or ArtifactError."""
    artifact.require_new(out, force=force)
    require_uncompressed(model, "compress")
    return load_recipe(recipe), None if photos is None else dataset_of(photos)


def of_export(model: Path, photos: str | None, out: Path, *, force: bool) -> Dataset | None:
    """The photos; raises DatasetError or ArtifactError."""
    artifact.require_new(out, force=force)
    kind_of_model(model)
    return None if photos is None else dataset_of(photos)


def of_reproduce(train: str, test: str, weights: Path | None, model: Path | None, out: Path) -> None:
    """Raises CheckpointError, DatasetError, RecipeError or ArtifactError."""
    artifact.require_folder(out)
    require_weights(weights)
    if model is not None:
        require_uncompressed(model, "name")
    for spec in (train, test):
        dataset_of(spec)


def require_weights(weights: str | Path | None) -> None:
    """CheckpointError for weights of a backbone that are no checkpoint; MissingToolError for a missing package."""
    if weights is not None:
        require_checkpoint(weights_file(weights))


def require_uncompressed(model: Path, verb: str) -> None:
    """Raises RecipeError for a compressed model, ArtifactError for what is no model of ours.

    Args:
        model: the file.
        verb: what is to be done with it, for the error.
    """
    if kind_of_model(model) == COMPRESSED:
        raise RecipeError(f"{model} is compressed already", do=f"{verb} the model it was made from")

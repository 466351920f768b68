"""What a command is given, opened before anything large is loaded: a file that will not do is said at once.

Nothing here needs torch. The steps look again, since they are called from Python too.
"""

from __future__ import annotations

from pathlib import Path

from pocketvlad.compress.recipe import Recipe, load_recipe
from pocketvlad.dataset import Dataset
from pocketvlad.errors import CheckpointError, RecipeError
from pocketvlad.given import require_ordinary
from pocketvlad.importer.files import require_checkpoint, require_layout
from pocketvlad.importer.packages import weights_file
from pocketvlad.importer.photo_rules import RULES
from pocketvlad.model.kinds import CLASSIFIER, COMPRESSED, MODEL, kind_of_model
from pocketvlad.model.names import require_names
from pocketvlad.model.wanted import wanted_whitening
from pocketvlad.outputs import require_outputs
from pocketvlad.schema import one_of
from pocketvlad.steps.common import apart, dataset_of
from pocketvlad.steps.fit_options import FitOptions


def of_import(checkpoint: Path, layout: str, wanted: str, preprocess: str, out: Path, *, force: bool) -> None:
    """Raises CheckpointError, RecipeError or ArtifactError; arguments as those of the import."""
    one_of("import", "as", wanted, (MODEL, CLASSIFIER))
    one_of("import", "preprocess", preprocess, tuple(RULES))
    require_layout(layout)
    require_outputs([out], [checkpoint], force=force)
    require_ordinary(checkpoint, CheckpointError)
    require_checkpoint(checkpoint)


def of_fit(photos: str, options: FitOptions, out: Path, *, force: bool) -> Dataset:
    """The photos; raises CheckpointError, RecipeError, DatasetError or ArtifactError."""
    require_outputs([out], [options.weights], force=force)
    require_fit(options)
    return apart(dataset_of(photos), out, force=force)


def of_whiten(
    model: Path, photos: str, out: Path, *, dim: int | str, whitening: float | str, views: int, force: bool
) -> Dataset:
    """The photos; raises DatasetError, RecipeError or ArtifactError."""
    require_outputs([out], [model], force=force)
    wanted_whitening(dim, whitening, views)
    require_uncompressed(model, "whiten")
    return apart(dataset_of(photos), out, force=force)


def of_compress(
    model: Path, recipe: str, photos: str | None, out: Path, *, force: bool
) -> tuple[Recipe, Dataset | None]:
    """The recipe and the photos; raises DatasetError, RecipeError or ArtifactError."""
    require_outputs([out], [model, recipe], force=force)
    require_uncompressed(model, "compress")
    return load_recipe(recipe), None if photos is None else apart(dataset_of(photos), out, force=force)


def of_export(model: Path, photos: str | None, out: Path, *, force: bool) -> Dataset | None:
    """The photos; raises DatasetError or ArtifactError."""
    require_outputs([out], [model], force=force)
    kind_of_model(model)
    return None if photos is None else apart(dataset_of(photos), out, force=force)


def require_fit(options: FitOptions) -> None:
    """What of a fit can be told from names and numbers and from outside of the weights.

    Raises:
        CheckpointError: a backbone or head that there is not, or weights that are no checkpoint.
        RecipeError: a number that is not allowed.
        MissingToolError: the weights' package is not installed.
    """
    require_names(options.backbone, options.head)
    options.require_possible()
    if options.weights is not None:
        weights = weights_file(options.weights)
        require_ordinary(weights, CheckpointError)
        require_checkpoint(weights)


def require_uncompressed(model: Path, verb: str) -> None:
    """Raises RecipeError for a compressed model, ArtifactError for what is no model of ours.

    Args:
        model: the file.
        verb: what is to be done with it, for the error.
    """
    if kind_of_model(model) == COMPRESSED:
        raise RecipeError(f"{model} is compressed already", do=f"{verb} the model it was made from")

"""Compression of a model file."""

from __future__ import annotations

from pathlib import Path

from pocketvlad import artifact
from pocketvlad.commands import Progress, Values
from pocketvlad.commands.classify import compress_classifier_file, open_classifier
from pocketvlad.commands.files import calibration_tensor, megabytes
from pocketvlad.compress.compressed import save_compressed
from pocketvlad.compress.post_training import compress_model
from pocketvlad.compress.sizes import layer_sizes
from pocketvlad.model.netvlad import load_model
from pocketvlad.recipe import load_recipe


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
    classifier = open_classifier(model)
    if classifier is not None:
        budget = max_drop is not None or max_mb is not None
        return compress_classifier_file(
            model, classifier, out, recipe, budget=budget, force=force, progress=progress
        )
    source = load_model(model)
    calibration = calibration_tensor(photos, source.config) if photos else None
    chosen = load_recipe(recipe)
    compressed = compress_model(source, chosen, calibration=calibration, progress=progress)
    made_from = {"model": artifact.file_sha256(model), "recipe": chosen.name, "photos": photos}
    save_compressed(out, compressed, made_from, force=force)
    layers = [size.as_row() for size in layer_sizes(compressed)]
    return {"out": str(out), "mb": megabytes(out), "recipe": chosen.name, "layers": layers}

"""A model -> a compressed model: by a recipe, with or without fine-tuning, or by a search."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from pocketvlad import artifact, ranks
from pocketvlad.compress.compressed import Compressed, save_compressed
from pocketvlad.compress.layers import layers_left
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import Recipe, load_recipe
from pocketvlad.compress.sizes import LayerSize, layer_sizes
from pocketvlad.compress.whitened import wanted_descriptors
from pocketvlad.dataset import Dataset
from pocketvlad.dataset.tensors import open_tensors
from pocketvlad.errors import RecipeError
from pocketvlad.evaluate.journal import kept_folder
from pocketvlad.model.network import Network, load_model
from pocketvlad.model.roles import PROJECTION
from pocketvlad.outputs import require_outputs
from pocketvlad.progress import Progress, with_text
from pocketvlad.steps.common import MEAN_COSINE, Result, dataset_of, megabytes, resume_folder, weak_warning
from pocketvlad.steps.inputs import require_uncompressed
from pocketvlad.steps.search import Limits, Search
from pocketvlad.steps.training import StateFolder, fine_tune
from pocketvlad.threads import one_thread

AUTO = "auto"  # the only recipe a search may replace
_COMPARED = 8  # calibration photos whose descriptors are compared with the uncompressed model's


@dataclass(frozen=True)
class CompressionResult(Result):
    """A compressed model's file.

    Attributes:
        out, mb: the file written.
        recipe: the one used, which without photos may be the recipe's ``without_photos``.
        layers: where the bytes went.
        left: layers that stay float32, each with the reason.
        weights_mb, ratio: the uncompressed parameters in float32, and how many times smaller the file is.
        mean_cosine: to the uncompressed descriptors, on some of the photos that calibrated; None without photos. On
            photos of other places it is lower.
        figures: of fine-tuning or a search, or that cosine; the file has them too.
        tried: candidates of a search.
        skipped: one line for each photo that could not be read.
        warning: that the answers are far from the uncompressed model's; None where they are not, or not known.
    """

    out: str
    mb: float
    recipe: str
    layers: tuple[LayerSize, ...]
    left: dict[str, str]
    weights_mb: float
    ratio: float
    mean_cosine: float | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    tried: tuple[dict[str, Any], ...] = ()
    skipped: tuple[str, ...] = ()
    warning: str | None = None


@dataclass(frozen=True, eq=False)
class _Made:
    """A compressed model and what is said of it."""

    compressed: Compressed
    cosine: float | None = None
    tried: tuple[dict[str, Any], ...] = ()
    skipped: tuple[str, ...] = ()


def compress(
    model: Path,
    out: Path,
    recipe: str | Recipe = AUTO,
    photos: str | Path | Dataset | None = None,
    limits: Limits | None = None,
    *,
    force: bool = False,
    progress: Progress | None = None,
    device: str = "cpu",
) -> CompressionResult | None:
    """Compress a model's file.

    A run that was stopped goes on at the next layer, one that trains at the last saved step, a search at the next layer
    or candidate. Under torchrun every process calls this: all train, where the recipe does; the first one alone does
    anything else, writes and returns the result. The others return None.

    Args:
        model: the uncompressed model's file.
        out: the file to write.
        recipe: a recipe, its name or its TOML file; only ``auto`` where there are limits.
        photos: that calibrate, train or validate.
        limits: of size or accuracy; a search then takes the recipe's place.
        force: overwrite ``out``, and throw away another run's unfinished training.
        progress: of everything.
        device: that fine-tuning runs on, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        PocketvladError: options that do not go together, photos that are needed and missing, and whatever
            the stages raise.
    """
    require_outputs([out], [model], force=force)
    require_uncompressed(model, "compress")
    source = load_model(model)
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    dataset = None if photos is None else dataset_of(photos)
    _check_options(chosen, dataset, limits)
    require_packable(source)
    about = {"model": artifact.file_sha256(model), "photos": None if dataset is None else dataset.name}

    def written(made: _Made) -> CompressionResult:
        made_from = {**about, "recipe": made.compressed.recipe.name}
        save_compressed(out, made.compressed, made_from, force=force)
        return _result(out, source, made)

    if dataset is not None and chosen.needs_labels:
        with StateFolder(out).held() as state:
            trained = fine_tune(model, chosen, dataset, state, afresh=force, progress=progress, device=device)
            if trained is None:
                return None
            found = written(_Made(trained.compressed, skipped=trained.skipped))
            state.empty()
            return found
    with kept_folder(resume_folder(out)) as folder:
        if not ranks.is_first():
            return None
        if dataset is not None and limits is not None:
            return written(_searched(source, dataset, limits, folder, progress))
        return written(_calibrated(source, chosen, dataset, folder, progress))


def require_packable(network: Network) -> None:
    """Raises RecipeError for a whitening that no packed layer takes: nearly all weights would stay float32."""
    left = layers_left(network)
    reasons = [left[name] for name, role in network.roles().items() if role == PROJECTION and name in left]
    if reasons:
        raise RecipeError(
            "the whitening cannot be packed", found=reasons[0], do="make the model with fewer clusters"
        )


def _check_options(recipe: Recipe, dataset: Dataset | None, limits: Limits | None) -> None:
    if limits is not None and recipe.name != AUTO:
        raise RecipeError("a search chooses the recipe itself", found=recipe.name, allowed=f"{AUTO}, or none")
    if limits is not None and dataset is None:
        raise RecipeError("a search measures on photos of known places", do="give it some")
    if recipe.needs_labels and dataset is None:
        raise RecipeError(f"recipe {recipe.name} trains on photos of known places", do="give it some")


def _searched(
    source: Network, dataset: Dataset, limits: Limits, kept: Path, progress: Progress | None
) -> _Made:
    if not source.config.describes:
        raise RecipeError("a search is for models of places", found=f"head {source.config.head}")
    found = Search(source, dataset, limits, progress, kept).run()
    return _Made(found.compressed, tried=found.tried, skipped=found.skipped)


def _calibrated(
    source: Network, recipe: Recipe, dataset: Dataset | None, kept: Path, progress: Progress | None
) -> _Made:
    if dataset is None:
        return _Made(compress_network(source, recipe, progress=progress))
    reading, most = with_text(progress, "reading photos"), None if recipe.needs_photos else _COMPARED
    tensors = open_tensors(dataset, source.config.preprocess, most=most, progress=reading)
    photos = tensors.calibration()
    calibration = photos if recipe.needs_photos else None
    compressed = compress_network(source, recipe, calibration=calibration, kept=kept, progress=progress)
    cosine = _mean_cosine(wanted_descriptors(source, recipe), compressed, photos)
    compressed = replace(compressed, figures={MEAN_COSINE: cosine})
    return _Made(compressed, cosine, skipped=tensors.skipped)


@torch.inference_mode()
@one_thread()
def _mean_cosine(source: Network, compressed: Compressed, photos: torch.Tensor) -> float:
    network, cosines = compressed.to_torch(), []
    for photo in photos[:: -(-len(photos) // _COMPARED)]:
        wanted, found = source(photo[None])[0], network(photo[None])[0]
        cosines.append(float(torch.nn.functional.cosine_similarity(wanted, found, dim=0)))
    return sum(cosines) / len(cosines)


def _result(out: Path, source: Network, made: _Made) -> CompressionResult:
    compressed = made.compressed
    weights = 4 * sum(parameter.numel() for parameter in source.parameters()) / 1e6
    return CompressionResult(
        str(out),
        megabytes(out),
        compressed.recipe.name,
        tuple(layer_sizes(compressed)),
        dict(compressed.left),
        weights,
        weights / megabytes(out),
        made.cosine,
        dict(compressed.figures),
        made.tried,
        made.skipped,
        weak_warning(compressed.figures),
    )

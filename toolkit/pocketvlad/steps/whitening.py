"""What is said of a whitening, and a model -> the same with another one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketvlad import artifact, ranks
from pocketvlad.compress.compressed import Compressed, open_model
from pocketvlad.dataset import Dataset
from pocketvlad.dataset.tensors import PhotoTensors, open_tensors
from pocketvlad.errors import RecipeError
from pocketvlad.evaluate.journal import kept_folder
from pocketvlad.model.choice import Choice
from pocketvlad.model.features import Kept, afresh
from pocketvlad.model.fit import Whitened, whiten_network
from pocketvlad.model.network import Network, save_model
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.model.questions import Places, Question
from pocketvlad.model.wanted import AUTO, Wanted, wanted_whitening
from pocketvlad.outputs import require_outputs
from pocketvlad.progress import Progress, with_text
from pocketvlad.schema import to_table
from pocketvlad.steps.common import Result, dataset_of, megabytes, resume_folder
from pocketvlad.steps.kept import KeptPhotos

MOST_PHOTOS = 4000


@dataclass(frozen=True)
class Rewhitened(Result):
    """A model's file with another whitening.

    Attributes:
        out, mb: the file written.
        photos: that fitted it.
        whitening: what was chosen, and its curve.
        skipped: one line for each photo that could not be read.
        config: of the network.
    """

    out: str
    mb: float
    photos: int
    whitening: Choice
    skipped: tuple[str, ...]
    config: dict[str, Any]


def whiten_file(
    model: Path,
    photos: str | Path | Dataset,
    out: Path,
    *,
    dim: int | str = AUTO,
    whitening: float | str = AUTO,
    views: int = 0,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> Rewhitened:
    """Give a model of places a whitening fitted to photos, chosen on places held out of the fit.

    A run that was stopped goes on at the next photo. Under torchrun every process calls this and does all of it; the
    first one writes.

    Args:
        model: with or without a whitening; not compressed.
        photos: of known places, where anything is to be chosen.
        out: the file to write.
        dim: dimensions; ``auto``: chosen.
        whitening: ``auto``: chosen; ``full``, ``pca`` or a number from 0 (PCA alone) to 1 (full).
        views: per photo; 0: chosen.
        seed: of the crops.
        force: overwrite ``out``.
        progress: of reading and of the views.

    Raises:
        RecipeError: a value that is not allowed, or no uncompressed model of places.
        PhotoError: too few photos, or none that can be read.
    """
    require_outputs([out], [model], force=force)
    wanted = wanted_whitening(dim, whitening, views)
    network = whitenable(open_model(model), str(model))
    network.config.check_dim(wanted.dim)
    preprocess = network.config.preprocess
    tensors = tensors_to_fit(photos, preprocess, wanted.dim, progress)
    with kept_folder(resume_folder(out)) as folder:
        kept, shown = KeptPhotos(folder, tensors.dataset.photos), with_text(progress, "whitening")
        found = rewhitened(network, tensors, wanted, seed=seed, kept=kept, progress=shown)
        made_from = {
            "model": artifact.file_sha256(model),
            "photos": len(tensors),
            "whitening": whitening_record(found.choice),
        }
        if ranks.is_first():
            save_model(out, found.network, made_from, force=force)
    config = found.network.config.to_json()
    return Rewhitened(str(out), megabytes(out), len(tensors), found.choice, tensors.skipped, config)


def whiten(
    model: Network,
    photos: str | Path | Dataset,
    *,
    dim: int | str = "auto",
    whitening: float | str = "auto",
    views: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Network:
    """The model with another whitening, fitted to photos and chosen on places held out of the fit.

    Args:
        model: of places, not compressed; left as it is, and its other weights are shared.
        photos: ``KIND:PATH``, of known places where anything is to be chosen.
        dim, whitening, views, seed: as in :func:`whiten_file`.
        progress: called with what is done and in all.

    Raises:
        RecipeError: a value that is not allowed, or a model that gives scores.
        PhotoError: too few photos, or none that can be read.
    """
    wanted = wanted_whitening(dim, whitening, views)
    network = whitenable(model, "the model")
    network.config.check_dim(wanted.dim)
    tensors = tensors_to_fit(photos, network.config.preprocess, wanted.dim)
    return rewhitened(network, tensors, wanted, seed=seed, progress=progress).network


def tensors_to_fit(
    photos: str | Path | Dataset, preprocess: Preprocess, dim: int | None, progress: Progress | None = None
) -> PhotoTensors:
    """The photos that fit a whitening of ``dim`` dimensions, if that is said, preprocessed.

    Of a large collection only as many as MOST_PHOTOS, or three for each dimension: all views are in memory together.
    """
    dataset = dataset_of(photos).spread(max(MOST_PHOTOS, 3 * (dim or 0)))
    return open_tensors(dataset, preprocess, progress=with_text(progress, "reading photos"))


def rewhitened(
    network: Network,
    photos: PhotoTensors,
    wanted: Wanted,
    *,
    seed: int = 0,
    kept: Kept = afresh,
    progress: Progress | None = None,
) -> Whitened:
    """The network with a whitening fitted to photos that are read already."""
    return whiten_network(
        network,
        photos,  # type: ignore[arg-type]
        places_of(photos.dataset),
        wanted,
        seed=seed,
        kept=kept,
        progress=progress,
    )


def whitenable(model: Network | Compressed, name: str) -> Network:
    """RecipeError unless it is an uncompressed model of places."""
    if isinstance(model, Compressed):
        raise RecipeError(f"{name} is compressed already", do="whiten the model it was made from")
    if not model.config.describes:
        raise RecipeError(f"{name} gives scores", allowed="a model that describes places")
    return model


def places_of(dataset: Dataset) -> Places:
    """What is known of a dataset's photos, and what its protocol asks of them."""
    database = set(dataset.database)
    return Places(
        [photo.place for photo in dataset.photos],
        [Question(query.photo, query.positives, query.junk) for query in dataset.queries],
        [number in database for number in range(len(dataset.photos))],
    )


def whitening_words(choice: Choice) -> str:
    """The choice in a few words."""
    chosen = choice.chosen
    if chosen.dim is None:
        return "no whitening"
    measured = "not measured: too few places"
    if chosen.score is not None:
        measured = f"mAP {100 * chosen.score:.1f} on places held out of the fit"
    return f"{chosen.dim} dimensions at whitening strength {chosen.strength:g} ({measured})"


def whitening_record(choice: Choice) -> dict[str, Any]:
    """What a model's file says of the choice; no seconds, so that the same fit gives the same bytes."""
    return {key: value for key, value in to_table(choice).items() if key != "seconds"}

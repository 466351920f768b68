"""Photos -> a model: a head initialised from them behind a backbone, a whitening fitted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from pocketvlad import ranks
from pocketvlad.dataset import Dataset
from pocketvlad.dataset.tensors import PhotoTensors
from pocketvlad.evaluate.journal import kept_folder
from pocketvlad.importer.checkpoint import read_backbone_weights
from pocketvlad.importer.packages import weights_file
from pocketvlad.model.backbones import build_backbone
from pocketvlad.model.choice import Choice
from pocketvlad.model.features import Kept, afresh
from pocketvlad.model.fit import backbone_from_photos, fit_chosen, fit_network
from pocketvlad.model.network import Network, NetworkConfig, save_model
from pocketvlad.model.wanted import FULL, wanted_whitening
from pocketvlad.outputs import require_outputs
from pocketvlad.progress import Progress, with_text
from pocketvlad.steps.common import Result, megabytes, resume_folder
from pocketvlad.steps.fit_options import FitOptions
from pocketvlad.steps.kept import KeptPhotos
from pocketvlad.steps.whitening import places_of, tensors_to_fit, whitening_record


@dataclass(frozen=True)
class Fitted(Result):
    """A fitted model's file.

    Attributes:
        out, mb: the file written.
        photos: that fitted it.
        weights: parameters of the network.
        skipped: one line for each photo that could not be read.
        config: of the network.
        whitening: what was chosen and its curve; None where nothing was.
        weights_from: the backbone's, as the options say; ``the photos`` where it was built from them.
        notes: what of the weights' file was taken or assumed, a line each.
    """

    out: str
    mb: float
    photos: int
    weights: int
    skipped: tuple[str, ...]
    config: dict[str, Any]
    whitening: Choice | None = None
    weights_from: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """A network in memory, how its whitening was chosen if it was, and notes about its backbone's weights."""

    network: Network
    choice: Choice | None
    notes: tuple[str, ...]


def fit(
    photos: str | Path | Dataset,
    out: Path,
    options: FitOptions,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Fitted:
    """Fit a model to photos and write it. A run that was stopped goes on at the next photo.

    Under torchrun every process calls this and does all of it; the first one writes.

    Raises:
        PhotoError: too few photos, or none that can be read.
        CheckpointError: weights that are not the backbone's, or a head that only training gives values.
        ArtifactError: ``out`` exists or cannot be written.
    """
    require_outputs([out], [options.weights], force=force)
    config = options.config()
    tensors = tensors_to_fit(photos, config.preprocess, config.dim, progress)
    with kept_folder(resume_folder(out)) as folder:
        kept, shown = KeptPhotos(folder, tensors.dataset.photos), with_text(progress, "fitting")
        found = fitted_network(options, tensors, kept=kept, progress=shown)
        made_from = {
            "photos": len(tensors),
            "weights": options.weights_sha256(),
            "options": {key: str(value) for key, value in asdict(options).items()},
            "whitening": None if found.choice is None else whitening_record(found.choice),
        }
        if ranks.is_first():
            save_model(out, found.network, made_from, force=force)
    return Fitted(
        str(out),
        megabytes(out),
        len(tensors),
        sum(parameter.numel() for parameter in found.network.parameters()),
        tensors.skipped,
        found.network.config.to_json(),
        found.choice,
        str(options.weights or "the photos"),
        found.notes,
    )


def fitted_network(
    options: FitOptions, photos: PhotoTensors, *, kept: Kept = afresh, progress: Progress | None = None
) -> FittedNetwork:
    """The network fitted to photos that are read already."""
    config = options.config()
    backbone, notes = backbone_for(config, options, photos)
    chosen = None if options.dim == 0 else wanted_whitening(options.dim, options.whitening, options.views)
    if chosen is None or (chosen.dim is not None and chosen.strength == FULL):
        views, seed = options.views or None, options.seed
        network = fit_network(
            config,
            backbone,
            photos,  # type: ignore[arg-type]
            views=views,
            seed=seed,
            kept=kept,
            progress=progress,
        )
        return FittedNetwork(network, None, notes)
    found = fit_chosen(
        config,
        backbone,
        photos,  # type: ignore[arg-type]
        places_of(photos.dataset),
        chosen,
        seed=options.seed,
        kept=kept,
        progress=progress,
    )
    return FittedNetwork(found.network, found.choice, notes)


def backbone_for(
    config: NetworkConfig, options: FitOptions, photos: PhotoTensors
) -> tuple[nn.Module, tuple[str, ...]]:
    """The backbone with the weights of a file, or built from the photos themselves, and notes about the file."""
    if options.weights is None:
        return backbone_from_photos(config, photos, options.seed), ()  # type: ignore[arg-type]
    read = read_backbone_weights(weights_file(options.weights))
    backbone = build_backbone(
        config.backbone, read.values, last_activation=config.last_activation, size=config.size
    )
    return backbone, read.notes

"""Photos -> a model: a head initialised from them behind a backbone, a whitening fitted."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from torch import nn

from pocketvlad import artifact
from pocketvlad.dataset import Dataset
from pocketvlad.dataset.tensors import PhotoTensors, open_tensors
from pocketvlad.errors import RecipeError
from pocketvlad.importer.checkpoint import read_backbone_weights
from pocketvlad.importer.packages import weights_file
from pocketvlad.model.backbones import backbone_spec, build_backbone
from pocketvlad.model.choice import Choice
from pocketvlad.model.fit import backbone_from_photos, fit_chosen, fit_network
from pocketvlad.model.heads import HEADS, head_class
from pocketvlad.model.network import Network, NetworkConfig, save_model
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.model.whitening import FULL
from pocketvlad.progress import Progress, with_text
from pocketvlad.steps.common import Result, dataset_of, megabytes
from pocketvlad.steps.whitening import AUTO, places_of, wanted_whitening, whitening_record


@dataclass(frozen=True)
class FitOptions:
    """What is fitted.

    Attributes:
        backbone: a key of :data:`pocketvlad.model.backbones.BACKBONES`.
        weights: of the backbone, a file or ``package:NAME``; None builds it from the photos.
        head: a key of :data:`pocketvlad.model.heads.HEADS`.
        clusters: K, of a head that has clusters.
        dim: dimensions after whitening; 0: none; ``auto``: chosen.
        height, width: of the input, pixels.
        views: per photo for the whitening; 0: as many as it needs.
        seed: of every random choice.
        whitening: its strength: ``auto``: chosen; ``full``, ``pca`` or a number from 0 (PCA alone) to 1 (full).
    """

    backbone: str
    weights: str | Path | None = None
    head: str = "netvlad"
    clusters: int = 64
    dim: int | str = 512
    height: int = 480
    width: int = 640
    views: int = 0
    seed: int = 0
    whitening: float | str = AUTO

    def config(self) -> NetworkConfig:
        """Of the network that is fitted.

        Raises:
            RecipeError: a value that is not allowed, or a head that describes no places.
            CheckpointError: an unknown backbone or head.
        """
        _require_possible(self)
        head = head_class(self.head)
        if not head.describes:
            allowed = ", ".join(name for name, each in HEADS.items() if each.describes)
            raise RecipeError("the head of a fit describes no places", found=self.head, allowed=allowed)
        kind = head.Options
        given = {"clusters": self.clusters} if "clusters" in {f.name for f in fields(kind)} else {}
        spec = backbone_spec(self.backbone)
        preprocess = Preprocess(self.height, self.width, spec.mean, spec.std)
        dim = self.dim if isinstance(self.dim, int) and self.dim else None
        config = NetworkConfig(self.backbone, preprocess, self.head, kind(**given), dim)
        config.check_size()
        return config

    def weights_sha256(self) -> str:
        """Of the weights' file; ``the photos`` where there is none."""
        return "the photos" if self.weights is None else artifact.file_sha256(weights_file(self.weights))


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
    """

    out: str
    mb: float
    photos: int
    weights: int
    skipped: tuple[str, ...]
    config: dict[str, Any]
    whitening: Choice | None = None
    weights_from: str = ""


def fit(
    photos: str | Path | Dataset,
    out: Path,
    options: FitOptions,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Fitted:
    """Fit a model to photos and write it.

    Raises:
        PhotoError: too few photos, or none that can be read.
        CheckpointError: weights that are not the backbone's, or a head that only training gives values.
        ArtifactError: ``out`` exists or cannot be written.
    """
    artifact.require_new(out, force=force)
    config = options.config()
    tensors = open_tensors(
        dataset_of(photos), config.preprocess, progress=with_text(progress, "reading photos")
    )
    network, choice = fitted_network(options, tensors, progress=with_text(progress, "fitting"))
    made_from = {
        "photos": len(tensors),
        "weights": options.weights_sha256(),
        "options": {key: str(value) for key, value in asdict(options).items()},
        "whitening": None if choice is None else whitening_record(choice),
    }
    save_model(out, network, made_from, force=force)
    weights = sum(parameter.numel() for parameter in network.parameters())
    source = str(options.weights or "the photos")
    said = network.config.to_json()
    return Fitted(str(out), megabytes(out), len(tensors), weights, tensors.skipped, said, choice, source)


def fitted_network(
    options: FitOptions, photos: PhotoTensors, *, progress: Progress | None = None
) -> tuple[Network, Choice | None]:
    """The network fitted to photos that are read already, and how its whitening was chosen if it was."""
    config = options.config()
    backbone = backbone_for(config, options, photos)
    chosen = None if options.dim == 0 else wanted_whitening(options.dim, options.whitening, options.views)
    if chosen is None or (chosen.dim is not None and chosen.strength == FULL):
        views, seed = options.views or None, options.seed
        network = fit_network(config, backbone, photos, views=views, seed=seed, progress=progress)  # type: ignore[arg-type]
        return network, None
    found = fit_chosen(
        config,
        backbone,
        photos,  # type: ignore[arg-type]
        places_of(photos.dataset),
        chosen,
        seed=options.seed,
        progress=progress,
    )
    return found.network, found.choice


def backbone_for(config: NetworkConfig, options: FitOptions, photos: PhotoTensors) -> nn.Module:
    """The backbone with the weights of a file, or built from the photos themselves."""
    if options.weights is not None:
        weights = read_backbone_weights(weights_file(options.weights))
        return build_backbone(
            config.backbone, weights, last_activation=config.last_activation, size=config.size
        )
    return backbone_from_photos(config, photos, options.seed)  # type: ignore[arg-type]


def _require_possible(options: FitOptions) -> None:
    for name, least in (("clusters", 2), ("seed", 0)):
        if getattr(options, name) < least:
            found, allowed = getattr(options, name), f"{least} or more"
            raise RecipeError(f"{name} of a fit is not allowed", found=found, allowed=allowed)
    if options.dim != 0:
        wanted_whitening(options.dim, options.whitening, options.views)
    elif options.views < 0:
        raise RecipeError("views of a fit is not allowed", found=options.views, allowed="0 or more")

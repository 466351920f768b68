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
from pocketvlad.importer import read_backbone_weights
from pocketvlad.model.backbones import build_backbone
from pocketvlad.model.fit import backbone_from_photos, fit_network
from pocketvlad.model.heads import HEADS, head_class
from pocketvlad.model.network import Network, NetworkConfig, save_model
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.progress import Progress, with_text
from pocketvlad.steps.common import Result, dataset_of, megabytes


@dataclass(frozen=True)
class FitOptions:
    """What is fitted.

    Attributes:
        backbone: a key of :data:`pocketvlad.model.backbones.BACKBONES`.
        weights: of the backbone; None builds it from the photos.
        head: a key of :data:`pocketvlad.model.heads.HEADS`.
        clusters: K, of a head that has clusters.
        dim: dimensions after whitening; 0: none.
        height, width: of the input, pixels.
        views: per photo for the whitening; 0: as many as it needs.
        seed: of every random choice.
    """

    backbone: str
    weights: Path | None = None
    head: str = "netvlad"
    clusters: int = 64
    dim: int = 512
    height: int = 480
    width: int = 640
    views: int = 0
    seed: int = 0

    def config(self) -> NetworkConfig:
        """Of the network that is fitted; RecipeError for a head that describes no places."""
        head = head_class(self.head)
        if not head.describes:
            allowed = ", ".join(name for name, each in HEADS.items() if each.describes)
            raise RecipeError("the head of a fit describes no places", found=self.head, allowed=allowed)
        kind = head.Options
        given = {"clusters": self.clusters} if "clusters" in {f.name for f in fields(kind)} else {}
        preprocess = Preprocess(self.height, self.width)
        return NetworkConfig(self.backbone, preprocess, self.head, kind(**given), self.dim or None)


@dataclass(frozen=True)
class Fitted(Result):
    """A fitted model's file.

    Attributes:
        out, mb: the file written.
        photos: that fitted it.
        weights: parameters of the network.
        skipped: one line for each photo that could not be read.
        config: of the network.
    """

    out: str
    mb: float
    photos: int
    weights: int
    skipped: tuple[str, ...]
    config: dict[str, Any]


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
    _require_possible(options)
    tensors = open_tensors(
        dataset_of(photos), config.preprocess, progress=with_text(progress, "reading photos")
    )
    network = fitted_network(options, tensors, progress=with_text(progress, "fitting"))
    made_from = {
        "photos": len(tensors),
        "weights": artifact.file_sha256(options.weights) if options.weights else "the photos",
        "options": {key: str(value) for key, value in asdict(options).items()},
    }
    save_model(out, network, made_from, force=force)
    return written(out, network, tensors)


def fitted_network(options: FitOptions, photos: PhotoTensors, *, progress: Progress | None = None) -> Network:
    """The network fitted to photos that are read already."""
    config = options.config()
    return fit_network(
        config,
        backbone_for(config, options, photos),
        photos,  # type: ignore[arg-type]
        views=options.views or None,
        seed=options.seed,
        progress=progress,
    )


def backbone_for(config: NetworkConfig, options: FitOptions, photos: PhotoTensors) -> nn.Module:
    """The backbone with the weights of a file, or built from the photos themselves."""
    if options.weights is not None:
        weights = read_backbone_weights(options.weights)
        return build_backbone(config.backbone, weights, last_activation=config.last_activation)
    return backbone_from_photos(config, photos, options.seed)  # type: ignore[arg-type]


def written(out: Path, network: Network, photos: PhotoTensors) -> Fitted:
    """What a fit says of the model it wrote."""
    weights = sum(parameter.numel() for parameter in network.parameters())
    return Fitted(str(out), megabytes(out), len(photos), weights, photos.skipped, network.config.to_json())


def _require_possible(options: FitOptions) -> None:
    for name, least in (("clusters", 2), ("dim", 0), ("views", 0)):
        found = getattr(options, name)
        if found < least:
            raise RecipeError(f"{name} of a fit is not allowed", found=found, allowed=f"{least} or more")

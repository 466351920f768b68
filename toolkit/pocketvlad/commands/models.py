"""Models: imported from checkpoints or fitted to photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from pocketvlad import artifact
from pocketvlad.commands import Progress, Values
from pocketvlad.commands.classify import import_classifier_file
from pocketvlad.commands.files import megabytes, parse_size
from pocketvlad.dataset import open_dataset
from pocketvlad.model.backbones import build_backbone
from pocketvlad.model.fit import fit_model, load_photo_tensors
from pocketvlad.model.netvlad import ModelConfig, save_model
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.schema import one_of

_SCRATCH_PHOTOS = 90


def import_checkpoint_file(
    checkpoint: Path, out: Path, *, layout: str, wanted: str = "model", force: bool
) -> Values:
    """Read a checkpoint as a ``model`` (or a backbone to fit one to), or whole as a ``classifier``."""
    from pocketvlad.importer import import_checkpoint, save_imported

    one_of("import", "--as", wanted, ("model", "classifier"))
    if wanted == "classifier":
        return import_classifier_file(checkpoint, out, layout=layout, force=force)
    imported = import_checkpoint(checkpoint, layout)
    source = {"checkpoint": checkpoint.name, "sha256": artifact.file_sha256(checkpoint)}
    save_imported(out, imported, {**source, "layout": imported.layout}, force=force)
    holds = {"backbone": imported.backbone.name} if imported.backbone else {}
    if imported.model is not None:
        holds = imported.model.config.to_json()
    return {
        "layout": imported.layout,
        "out": str(out),
        "mb": megabytes(out),
        "notes": imported.notes,
        **holds,
    }


@dataclass(frozen=True)
class FitOptions:
    """Options of `pocketvlad fit`; ``weights`` None builds the backbone from the photos."""

    backbone: str
    weights: Path | None
    clusters: int
    dim: int
    size: str
    views: int
    seed: int


def fit_file(
    photos: str, out: Path, options: FitOptions, *, force: bool, progress: Progress | None = None
) -> Values:
    dataset = open_dataset(photos)
    height, width = parse_size(options.size)
    config = ModelConfig(options.backbone, options.clusters, options.dim or None, Preprocess(height, width))
    paths = [photo.path for photo in dataset.photos]
    backbone = make_backbone(config, options.weights, paths, options.seed)
    model, skipped = fit_model(
        config, backbone, paths, views=options.views or None, seed=options.seed, progress=progress
    )
    made_from = {
        "photos": len(paths) - len(skipped),
        "weights": artifact.file_sha256(options.weights) if options.weights else "the photos",
        "options": {key: str(value) for key, value in asdict(options).items()},
    }
    save_model(out, model, made_from, force=force)
    return {"out": str(out), "mb": megabytes(out), "skipped": skipped, **config.to_json()}


def make_backbone(
    config: ModelConfig, weights: Path | None, photos: Sequence[Path], seed: int
) -> torch.nn.Sequential:
    """The backbone with the weights of a file, or built from the photos themselves."""
    from pocketvlad.importer import read_backbone_weights

    if weights is not None:
        return build_backbone(config.backbone, read_backbone_weights(weights))
    from pocketvlad.model.scratch import init_backbone_from_photos

    backbone = build_backbone(config.backbone)
    tensors, _ = load_photo_tensors(photos[:: max(1, len(photos) // _SCRATCH_PHOTOS)], config)
    init_backbone_from_photos(backbone, torch.stack(tensors), seed)
    return backbone

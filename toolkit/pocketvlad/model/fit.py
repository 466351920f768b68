"""A network from a backbone and photos: the head initialised from them, whitening by PCA. No training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from pocketvlad.errors import CheckpointError
from pocketvlad.model.backbones import empty_backbone
from pocketvlad.model.network import Network, NetworkConfig
from pocketvlad.model.scratch import init_backbone_from_photos
from pocketvlad.model.views import photo_views
from pocketvlad.model.whitening import fit_whitening
from pocketvlad.progress import Progress, Steps

_SCRATCH_PHOTOS = 90


def fit_network(
    config: NetworkConfig,
    backbone: nn.Module,
    photos: Sequence[Tensor],
    *,
    views: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Network:
    """Initialise the head from photos and fit the whitening.

    Args:
        config: the network wanted.
        backbone: in eval mode, float32 [B, 3, H, W] -> [B, D, H', W'].
        photos: preprocessed, float32 [3, H, W] each.
        views: per photo: the photo, its mirror image, then random crops of either. None: as many as the whitening
            needs (one and a half times its dimensions, at least 1 a photo).
        seed: of the samples and crops.
        progress: called with views done and views in all.

    Returns:
        The network in eval mode.

    Raises:
        PhotoError: too few photos.
        CheckpointError: the head learns its values in training.
    """
    if views is None:
        views = max(1, -(-3 * (config.dim or 0) // (2 * len(photos))))
    found = Network.empty(replace(config, dim=None), backbone)
    found.head.to_empty(device="cpu")
    passes = any(True for _ in found.head.parameters()) + (views if config.dim else 0)  # over every photo
    steps = Steps(progress, len(photos) * passes)

    def features(number: int) -> Callable[[], Tensor]:
        def compute() -> Tensor:
            local = backbone(photos[number][None])
            steps.done()
            return local

        return compute

    with torch.no_grad():
        found.head.fit([features(number) for number in range(len(photos))], seed)
        if config.dim:
            vectors = []
            for view in photo_views(photos, views, seed):
                vectors.append(found(view[None]))
                steps.done()
            found = Network(config, backbone, found.head, fit_whitening(torch.cat(vectors), config.dim))
    return found.requires_grad_(True).eval()


def backbone_from_photos(config: NetworkConfig, photos: Sequence[Tensor], seed: int) -> nn.Sequential:
    """A backbone whose weights are built from photos, where there are none to read.

    Args:
        config: of the network it is for.
        photos: preprocessed, float32 [3, H, W] each; some of them, evenly spread, are looked at.
        seed: of the sampled patches.

    Raises:
        CheckpointError: the backbone is a transformer, which only training gives values.
    """
    backbone = empty_backbone(config.backbone, last_activation=config.last_activation, size=config.size)
    if not isinstance(backbone, nn.Sequential):
        raise CheckpointError(
            f"backbone {config.backbone} cannot be built from photos", do="give it trained weights"
        )
    step = max(1, len(photos) // _SCRATCH_PHOTOS)
    chosen = torch.stack([photos[number] for number in range(0, len(photos), step)])
    init_backbone_from_photos(backbone.to_empty(device="cpu"), chosen, seed)
    return backbone

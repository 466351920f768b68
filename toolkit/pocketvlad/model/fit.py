"""A model from a backbone and photos: clusters by k-means, whitening by PCA. No training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn
from torch.nn import functional

from pocketvlad.errors import PhotoError
from pocketvlad.model.netvlad import ModelConfig, PlaceModel
from pocketvlad.model.preprocess import photo_tensor
from pocketvlad.model.whitening import fit_whitening

Progress = Callable[[int, int], None]
_SAMPLES = 50_000  # local features clustered
_WEIGHT_OF_SECOND_CLUSTER = 0.01
_SMALLEST_CROP = 0.6  # of each side


def fit_model(
    config: ModelConfig,
    backbone: nn.Sequential,
    photos: Sequence[Path],
    *,
    views: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[PlaceModel, list[str]]:
    """Initialise NetVLAD from data and fit the whitening.

    Args:
        config: the model wanted.
        backbone: in eval mode, float32 [B, 3, H, W] -> [B, D, H', W'].
        photos: files; unreadable ones are skipped.
        views: per photo: the photo, its mirror image, then random crops of either. None: as many as the
            whitening needs (one and a half times its dimensions, at least 1 a photo).
        seed: of the samples and crops.
        progress: called with views done and views in all.

    Returns:
        The model in eval mode and one line for each photo skipped.
    """
    tensors, skipped = load_photo_tensors(photos, config)
    if views is None:
        views = max(1, -(-3 * (config.dim or 0) // (2 * len(tensors))))
    model = PlaceModel(ModelConfig(**{**vars(config), "dim": None}), backbone).eval()
    steps = _Steps(progress, len(tensors) * (1 + (views if config.dim else 0)))
    with torch.no_grad():
        fit_clusters(model, tensors, seed, steps.done)
        if config.dim:
            vectors = torch.cat([steps.done(model(view[None])) for view in _views(tensors, views, seed)])
            whitening = fit_whitening(vectors, config.dim)
    fitted = PlaceModel(config, backbone)
    fitted.pool.load_state_dict(model.pool.state_dict())
    if config.dim:
        fitted.whitening = whitening
    for parameter in fitted.parameters():
        parameter.requires_grad_(True)
    return fitted.eval(), skipped


class _Steps:
    """Counts finished views towards a progress callback."""

    def __init__(self, progress: Progress | None, total: int):
        self.progress, self.total, self.count = progress, total, 0

    def done(self, result: Tensor) -> Tensor:
        self.count += 1
        if self.progress is not None:
            self.progress(self.count, self.total)
        return result


def load_photo_tensors(photos: Sequence[Path], config: ModelConfig) -> tuple[list[Tensor], list[str]]:
    """Preprocessed photos, float32 [3, H, W] each, and one line for each that could not be read."""
    tensors, skipped = [], []
    for path in photos:
        try:
            tensors.append(torch.from_numpy(photo_tensor(path, config.preprocess)))
        except PhotoError as error:
            skipped.append(str(error))
    if not tensors:
        raise PhotoError("no photo could be read", found=skipped[0] if skipped else "an empty list")
    return tensors, skipped


def _views(photos: Sequence[Tensor], views: int, seed: int) -> Iterator[Tensor]:
    """Each photo, its mirror image, then random crops resized to the photo's size."""
    random = np.random.default_rng(seed)
    for photo in photos:
        height, width = photo.shape[1:]
        for view in range(views):
            crop = photo
            if view >= 2:
                side = random.uniform(_SMALLEST_CROP, 1)
                h, w = int(side * height), int(side * width)
                top, left = random.integers(0, height - h + 1), random.integers(0, width - w + 1)
                crop = photo[None, :, top : top + h, left : left + w]
                crop = functional.interpolate(crop, (height, width), mode="bilinear", align_corners=False)[0]
            yield crop.flip(2) if view % 2 else crop


def fit_clusters(
    model: PlaceModel,
    photos: Sequence[Tensor],
    seed: int,
    done: Callable[[Tensor], object] = lambda photo: None,
) -> None:
    """Cluster centres by k-means; soft assignment scaled as the original initialisation does.

    The scale alpha makes the second nearest cluster weigh 1/100 of the nearest for the mean gap of their
    dot products: ``alpha = -log(0.01) / mean(d1 - d2)`` (NetVLAD, section 3.1 and its public code). ``done`` is
    called with each photo whose features have been sampled.
    """
    random = np.random.default_rng(seed)
    each = -(-_SAMPLES // len(photos))
    samples = []
    for photo in photos:
        local = functional.normalize(model.backbone(photo[None]), dim=1)[0].flatten(1).T.numpy()
        samples.append(local[random.permutation(len(local))[:each]])
        done(photo)
    features = np.concatenate(samples)
    clusters = model.config.clusters
    if len(features) < clusters:
        raise PhotoError(
            "too few local features to cluster", found=len(features), allowed=f"at least {clusters}"
        )
    centres = KMeans(clusters, n_init=1, max_iter=100, random_state=seed).fit(features).cluster_centers_
    unit = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    nearest = -np.sort(-(features @ unit.T), axis=1)[:, :2]
    alpha = -np.log(_WEIGHT_OF_SECOND_CLUSTER) / np.mean(nearest[:, 0] - nearest[:, 1])
    weight = torch.from_numpy((alpha * unit).astype(np.float32))
    model.pool.assignment.weight.copy_(weight[:, :, None, None])
    if model.pool.assignment.bias is not None:
        model.pool.assignment.bias.zero_()
    model.pool.centroids.copy_(torch.from_numpy(centres.astype(np.float32)))

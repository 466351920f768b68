"""NetVLAD: soft-assigned residuals to cluster centres.

Arandjelovic, Gronat, Torii, Pajdla, Sivic, "NetVLAD: CNN architecture for weakly supervised place recognition",
CVPR 2016.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn
from torch.nn import functional

from pocketvlad.errors import PhotoError
from pocketvlad.lut.layers import LutVladPool
from pocketvlad.model.features import Features
from pocketvlad.model.heads.base import Head, HeadCodes, HeadOptions
from pocketvlad.model.roles import ASSIGNMENT
from pocketvlad.model.unit import unit_length
from pocketvlad.threads import one_thread

_ASSIGNMENT, _CENTROIDS = "assignment", "centroids"
_SAMPLES = 50_000  # local features clustered
_WEIGHT_OF_SECOND_CLUSTER = 0.01
_SEEDS = 2**32  # that k-means knows


@dataclass(frozen=True)
class NetVladOptions(HeadOptions):
    """Attributes:
    clusters: K.
    assignment_bias: whether the soft assignment has a bias (NetVLAD "v2").
    """

    clusters: int = 64
    assignment_bias: bool = False


class NetVlad(Head):
    """Soft-assigned residuals to K cluster centres (CVPR 2016, eq. 4), intra-normalised, flattened, unit length.

    Input float32 [B, D, H, W], any scale; output float32 [B, K * D], index ``k * D + d``.
    """

    Options = NetVladOptions

    def __init__(self, channels: int, options: NetVladOptions):
        super().__init__(channels, options)
        self.outputs, self.block = options.clusters * channels, channels
        self.assignment = nn.Conv2d(channels, options.clusters, 1, bias=options.assignment_bias)
        self.centroids = nn.Parameter(torch.rand(options.clusters, channels))

    def forward(self, x: Tensor) -> Tensor:
        x = unit_length(x, dim=1)
        weights = self.assignment(x).flatten(2).softmax(dim=1)  # [B, K, H * W]
        sums = weights @ x.flatten(2).transpose(1, 2)  # [B, K, D]
        vlad = sums - weights.sum(dim=2, keepdim=True) * self.centroids
        vlad = unit_length(vlad, dim=2)
        return unit_length(vlad.flatten(1), dim=1)

    def roles(self) -> dict[str, str]:
        return {_ASSIGNMENT: ASSIGNMENT}

    def constants(self) -> tuple[str, ...]:
        return (_CENTROIDS,)

    @one_thread()
    def fit(self, features: Features, seed: int) -> None:
        """Cluster centres by k-means; soft assignment scaled as the original initialisation does.

        The scale alpha makes the second nearest cluster weigh 1/100 of the nearest for the mean gap of their
        dot products: ``alpha = -log(0.01) / mean(d1 - d2)`` (NetVLAD, section 3.1 and its public code).
        """
        local, clusters = self._sampled(features, seed), len(self.centroids)
        if len(local) < clusters:
            raise PhotoError(
                "too few local features to cluster", found=len(local), allowed=f"at least {clusters}"
            )
        centres = (
            KMeans(clusters, n_init=1, max_iter=100, random_state=seed % _SEEDS).fit(local).cluster_centers_
        )
        unit = centres / np.linalg.norm(centres, axis=1, keepdims=True)
        nearest = -np.sort(-(local @ unit.T), axis=1)[:, :2]
        alpha = -np.log(_WEIGHT_OF_SECOND_CLUSTER) / np.mean(nearest[:, 0] - nearest[:, 1])
        weight = torch.from_numpy((alpha * unit).astype(np.float32))
        with torch.no_grad():
            self.assignment.weight.copy_(weight[:, :, None, None])
            if self.assignment.bias is not None:
                self.assignment.bias.zero_()
            self.centroids.copy_(torch.from_numpy(centres.astype(np.float32)))

    def _sampled(self, features: Features, seed: int) -> np.ndarray:
        """Unit local features of every photo, float32 [n, D]."""
        random, each = np.random.default_rng(seed), -(-_SAMPLES // len(features))
        chosen = (random.permutation(features.positions)[:each] for _ in range(len(features)))

        def sample(found: Tensor, rows: np.ndarray) -> Tensor:
            return functional.normalize(found, dim=1)[0].flatten(1).T[torch.from_numpy(rows)]

        return torch.cat(list(features.of_each(sample, chosen))).view(-1, self.block).numpy()

    def pack(self, codes: HeadCodes) -> nn.Module:
        centroids = codes.constants[_CENTROIDS]
        return LutVladPool(
            codes.layers[_ASSIGNMENT],
            codes.biases.get(_ASSIGNMENT),
            centroids.values,
            centroids.scale,
            fast=codes.fast[_ASSIGNMENT],
        )

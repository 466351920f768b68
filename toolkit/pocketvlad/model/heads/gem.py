"""Generalised mean pooling and a linear layer: the head of CosPlace and EigenPlaces.

Radenovic, Tolias, Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2019, eq. 3; with the
normalisation before it and the linear layer behind it, Berton, Masone, Caputo, "Rethinking Visual Geo-localization for
Large-Scale Applications", CVPR 2022.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from pocketvlad.errors import CheckpointError
from pocketvlad.model.heads.base import Head, HeadOptions
from pocketvlad.model.roles import PROJECTION
from pocketvlad.model.unit import unit_length

_LINEAR = "linear"
_SMALLEST = 1e-6  # of a feature, before the power


@dataclass(frozen=True)
class GemOptions(HeadOptions):
    """Attributes:
    dim: of the linear layer; 0: none.
    power: p of the mean, above 0; a trained file brings its own.
    normalize: local features at unit length before they are pooled.
    """

    dim: int = 0
    power: float = 3.0
    normalize: bool = True


class Gem(Head):
    """``(mean over locations of x^p)^(1/p)``, the linear layer, unit length: float32 [B, D, H, W] -> [B, dim or D]."""

    Options = GemOptions

    def __init__(self, channels: int, options: GemOptions):
        super().__init__(channels, options)
        if not (math.isfinite(options.power) and options.power > 0):
            raise CheckpointError(
                "the power of the mean is impossible", found=options.power, allowed="a number above 0"
            )
        self.outputs, self.normalize, self.power = options.dim or channels, options.normalize, options.power
        self.linear = nn.Linear(channels, options.dim) if options.dim else None

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pooled(x)
        return unit_length(pooled if self.linear is None else self.linear(pooled))

    def pooled(self, x: Tensor) -> Tensor:
        """The mean alone, float32 [B, D]."""
        if self.normalize:
            x = unit_length(x, dim=1)
        # a power that no kernel has, in steps that XNNPACK has
        powers = (x.clamp_min(_SMALLEST).log() * self.power).exp().mean(dim=(2, 3), keepdim=True)
        return (powers.log() * (1 / self.power)).exp().flatten(1)

    def last_linear(self) -> str | None:
        return None if self.linear is None else _LINEAR

    def roles(self) -> dict[str, str]:
        return {} if self.linear is None else {_LINEAR: PROJECTION}

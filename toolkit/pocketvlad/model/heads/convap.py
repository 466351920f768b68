"""A 1x1 convolution and average pooling to a few cells: the head ConvAP of GSV-Cities.

Ali-bey, Chaib-draa, Giguere, "GSV-Cities: Toward Appropriate Supervised Visual Place Recognition", Neurocomputing 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from pocketvlad.model.heads.base import Head, HeadOptions
from pocketvlad.model.roles import CONVOLUTION
from pocketvlad.model.unit import unit_length

_CHANNELS = "channel_pool"


@dataclass(frozen=True)
class ConvApOptions(HeadOptions):
    """Attributes:
    channels: of the convolution.
    cells: a side, of the grid that is pooled to.
    """

    channels: int = 512
    cells: int = 2


class ConvAp(Head):
    """float32 [B, D, H, W] -> [B, channels * cells * cells], index ``(channel * cells + row) * cells + column``."""

    Options = ConvApOptions

    def __init__(self, channels: int, options: ConvApOptions):
        super().__init__(channels, options)
        self.outputs = options.channels * options.cells**2
        self.channel_pool = nn.Conv2d(channels, options.channels, 1)
        self.pool = nn.AdaptiveAvgPool2d(options.cells)

    def forward(self, x: Tensor) -> Tensor:
        return unit_length(self.pool(self.channel_pool(x)).flatten(1))

    def roles(self) -> dict[str, str]:
        return {_CHANNELS: CONVOLUTION}

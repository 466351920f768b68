"""MixVPR: multi-layer perceptrons over the locations of a map of one size.

Ali-bey, Chaib-draa, Giguere, "MixVPR: Feature Mixing for Visual Place Recognition", WACV 2023.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor, nn

from pocketvlad.errors import RecipeError
from pocketvlad.model.heads.base import Head, HeadOptions
from pocketvlad.model.roles import LINEAR, MLP
from pocketvlad.model.unit import unit_length


@dataclass(frozen=True)
class MixVprOptions(HeadOptions):
    """Attributes:
    side: locations a side of the map, which the weights are made for.
    depth: mixers.
    channels: that the features are projected to.
    rows: that the locations are projected to.
    """

    side: int = 20
    depth: int = 4
    channels: int = 1024
    rows: int = 4


class Mixer(nn.Module):
    """``x + fc2(relu(fc1(norm x)))`` over the locations; the norm has no affine of its own."""

    def __init__(self, locations: int):
        super().__init__()
        layers = {
            "norm": nn.LayerNorm(locations, elementwise_affine=False),
            "fc1": nn.Linear(locations, locations),
            "act": nn.ReLU(),
            "fc2": nn.Linear(locations, locations),
        }
        self.mix = nn.Sequential(OrderedDict(layers))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(x)


class MixVpr(Head):
    """float32 [B, D, side, side] -> [B, channels * rows], index ``channel * rows + row``."""

    Options = MixVprOptions

    def __init__(self, channels: int, options: MixVprOptions):
        super().__init__(channels, options)
        locations = options.side**2
        self.outputs = options.channels * options.rows
        self.mixers = nn.Sequential(*(Mixer(locations) for _ in range(options.depth)))
        self.channel_proj = nn.Linear(channels, options.channels)
        self.row_proj = nn.Linear(locations, options.rows)

    @classmethod
    def check_size(cls, options: MixVprOptions, height: int, width: int, stride: int) -> None:
        side = options.side * stride
        if (height, width) != (side, side):
            allowed = f"{side}x{side}" if stride else "a backbone whose map's size is known"
            raise RecipeError(
                "MixVPR's weights are made for one input size", found=f"{height}x{width}", allowed=allowed
            )

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.mixers(x.flatten(2))  # [B, D, locations]
        by_channel = self.channel_proj(mixed.transpose(1, 2)).transpose(1, 2)
        return unit_length(self.row_proj(by_channel).flatten(1))

    def roles(self) -> dict[str, str]:
        mixers = [name for name, module in self.mixers.named_modules() if isinstance(module, nn.Linear)]
        return {f"mixers.{name}": MLP for name in mixers} | {"channel_proj": LINEAR, "row_proj": LINEAR}

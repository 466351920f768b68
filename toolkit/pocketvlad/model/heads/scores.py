"""A classifier's layers behind the features: scores instead of a descriptor."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from pocketvlad.model.backbones import classifier_layers
from pocketvlad.model.heads.base import Head, HeadOptions
from pocketvlad.model.roles import CONVOLUTION, LINEAR, SCORES


@dataclass(frozen=True)
class ScoresOptions(HeadOptions):
    """Attributes:
    network: torchvision's name of the classifier.
    classes: how many scores.
    """

    network: str = ""
    classes: int = 1000


class Scores(Head):
    """What torchvision puts behind its features: float32 [B, D, H, W] -> scores [B, classes]."""

    Options = ScoresOptions
    describes = False

    def __init__(self, channels: int, options: ScoresOptions):
        super().__init__(channels, options)
        self.outputs = options.classes
        self.layers = classifier_layers(options.network, options.classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    def roles(self) -> dict[str, str]:
        kinds = {
            name: LINEAR if isinstance(module, nn.Linear) else CONVOLUTION
            for name, module in self.named_modules()
            if isinstance(module, (nn.Linear, nn.Conv2d))
        }
        return {**kinds, list(kinds)[-1]: SCORES}

"""torchvision's ResNets as a plain sequence, with and without the ReLU after the last sum."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import Tensor, nn

_STAGES = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


class LinearBlock(nn.Module):
    """A basic or bottleneck block without the ReLU after its sum; its layers keep their names."""

    def __init__(self, block: Any):
        super().__init__()
        self.relu: nn.Module = block.relu
        for name, child in block.named_children():
            setattr(self, name, child)
        self.depth = sum(name.startswith("conv") for name, _ in block.named_children())

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for number in range(1, self.depth + 1):
            out = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(out))
            if number < self.depth:
                out = self.relu(out)
        downsample = getattr(self, "downsample", None)
        return out + (x if downsample is None else downsample(x))


def features(model: Any) -> nn.Sequential:
    """Everything up to ``layer4``."""
    return nn.Sequential(OrderedDict((name, getattr(model, name)) for name in _STAGES))


def features_of_layer3(model: Any) -> nn.Sequential:
    """Everything up to ``layer3``."""
    return features(model)[:-1]


def layers(model: Any) -> nn.Sequential:
    """What turns features into scores."""
    return nn.Sequential(OrderedDict(avgpool=model.avgpool, flatten=nn.Flatten(), fc=model.fc))


def without_last_activation(backbone: nn.Sequential) -> nn.Sequential:
    """The same without the last ReLU, in place."""
    stage: Any = list(backbone.children())[-1]
    stage[-1] = LinearBlock(stage[-1])
    return backbone

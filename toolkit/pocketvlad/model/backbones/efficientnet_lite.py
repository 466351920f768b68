"""EfficientNet-Lite: inverted residual blocks with ReLU6 and without squeeze-and-excitation, for phones.

Tan, Le, "EfficientNet", ICML 2019; the Lite variants and their scaling are those of TensorFlow's TPU repository
(``efficientnet/lite``): the stem, the head and the repeats of the first and last stage do not scale. Features are the
last block's output, which no activation follows. Keys are those of PyTorch ports without their leading underscores.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from math import ceil

from torch import Tensor, nn

MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3  # inputs are (value - 127) / 128
CHANNELS = 320  # of the last stage, at width 1
_STEM = 32
_EPSILON = 1e-3  # of every batch norm
_DIVISOR = 8  # of every number of channels


@dataclass(frozen=True)
class _Stage:
    """Blocks of one kernel size and output width; the first has the stride and changes the width."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, CHANNELS),
)


def _pad(kernel: int, stride: int) -> nn.Module:
    """TensorFlow's padding SAME for sides that the stride divides: at stride 2 one more row and column behind.

    A module of its own, so that the convolution behind it is an ordinary one for codes, kernels and programs.
    """
    total = kernel - stride
    before, after = total // 2, total - total // 2
    return nn.ZeroPad2d((before, after, before, after))


def _convolution(source: int, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    padding = (kernel - 1) // 2 if stride == 1 else 0
    return nn.Conv2d(source, channels, kernel, stride, padding, groups=groups, bias=False)


class Block(nn.Module):
    """Expand, filter each channel, project; the input is added where the shape stays."""

    def __init__(self, source: int, stage: _Stage, channels: int, stride: int):
        super().__init__()
        wide = source * stage.expand
        layers: list[tuple[str, nn.Module]] = []
        if stage.expand > 1:
            layers += [
                ("expand_conv", _convolution(source, wide)),
                ("bn0", _norm(wide)),
                ("relu0", nn.ReLU6()),
            ]
        if stride > 1:
            layers += [("pad", _pad(stage.kernel, stride))]
        depthwise = _convolution(wide, wide, stage.kernel, stride, groups=wide)
        layers += [("depthwise_conv", depthwise), ("bn1", _norm(wide)), ("relu1", nn.ReLU6())]
        layers += [("project_conv", _convolution(wide, channels)), ("bn2", _norm(channels))]
        for name, layer in layers:
            self.add_module(name, layer)
        self.adds = stride == 1 and source == channels

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for layer in self.children():
            out = layer(out)
        return out + x if self.adds else out


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPSILON)


class EfficientNetLite(nn.Module):
    """The blocks alone: float32 [B, 3, H, W] -> [B, D, H / 32, W / 32]; no head.

    Args:
        width: factor of the stages' channels.
        depth: factor of the inner stages' repeats.
    """

    def __init__(self, width: float = 1.0, depth: float = 1.0):
        super().__init__()
        stem = [_pad(3, 2), _convolution(3, _STEM, 3, 2), _norm(_STEM), nn.ReLU6()]
        blocks, source = [], _STEM
        for number, stage in enumerate(_STAGES):
            inner = 0 < number < len(_STAGES) - 1
            channels = scaled(stage.channels, width)
            for repeat in range(ceil(stage.repeats * depth) if inner else stage.repeats):
                blocks.append(Block(source, stage, channels, 1 if repeat else stage.stride))
                source = channels
        names = ("pad", "conv_stem", "bn0", "relu")
        self.features = nn.Sequential(
            OrderedDict(zip(names, stem, strict=True), blocks=nn.Sequential(*blocks))
        )


def scaled(channels: int, width: float) -> int:
    """The multiple of 8 nearest to ``channels * width``, of at least nine tenths of it."""
    wanted = channels * width
    found = max(_DIVISOR, int(wanted + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return found + _DIVISOR if found < 0.9 * wanted else found


def plain_key(key: str) -> str:
    """A key of a checkpoint without the underscores that its names begin with."""
    return re.sub(r"(^|\.)_", r"\1", key)

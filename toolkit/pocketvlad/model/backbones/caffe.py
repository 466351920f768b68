"""The Caffe reference network ("CaffeNet"), the AlexNet of Relja's NetVLAD: groups, LRN after pooling.

Layers and sizes are those of BVLC's ``bvlc_reference_caffenet`` and of MatConvNet's ``imagenet-caffe-ref``.
torchvision's alexnet is another network: fewer filters, no groups, no LRN.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class CrossMapNorm(nn.Module):
    """Local response normalisation over neighbouring channels: ``x / (1 + alpha * sum of x**2) ** 0.75``.

    In operations that every runtime has: the sum over ``size`` channels is a 1x1 convolution with a band of
    ones, the power two square roots. Equals ``torch.nn.LocalResponseNorm(size, alpha * size, 0.75, 1)``.

    Args:
        channels: of the input, float32 [B, C, H, W].
        size: channels summed, odd.
        alpha: as MatConvNet counts it, not divided by ``size``.
    """

    band: Tensor

    def __init__(self, channels: int, size: int = 5, alpha: float = 2e-5):
        super().__init__()
        place = torch.arange(channels, device="cpu")  # a constant, with values even where weights have none
        offset = place[:, None] - place
        band = alpha * (offset.abs() <= size // 2).float()
        self.register_buffer("band", band[:, :, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        root = (1 + functional.conv2d(x * x, self.band)).sqrt()
        return x / (root * root.sqrt())


class CaffeNet(nn.Module):
    """The convolutions alone: float32 [B, 3, H, W] -> [B, 256, H', W']; no classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 96, 11, stride=4),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            CrossMapNorm(96),
            nn.Conv2d(96, 256, 5, padding=2, groups=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            CrossMapNorm(256),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 384, 3, padding=1, groups=2),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1, groups=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)

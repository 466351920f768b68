"""What a layer's inputs look like: second moments in the compressed model and against the uncompressed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

LOCATIONS = 24_576  # input patches summed per layer, spread over the photos


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of a layer's inputs about their means; a grouped convolution has one set per group.

    Attributes:
        gram: float32 [G, I, I], mean of ``x x^T``, x the inputs in the compressed model.
        cross: float32 [G, I, I], mean of ``z x^T``, z the same inputs in the uncompressed model.
        mean: float32 [G, I], of x.
        reference_mean: float32 [G, I], of z.
    """

    gram: Tensor
    cross: Tensor
    mean: Tensor
    reference_mean: Tensor

    @property
    def importance(self) -> Tensor:
        """Second moment of each input about its mean, float32 [G, I]."""
        return self.gram.diagonal(dim1=1, dim2=2)


class MomentSum:
    """Sums :class:`Moments` over batches of patches."""

    def __init__(self, groups: int, inputs: int):
        self._gram = torch.zeros(groups, inputs, inputs)
        self._cross = torch.zeros(groups, inputs, inputs)
        self._mean = torch.zeros(groups, inputs, dtype=torch.float64)
        self._reference_mean = torch.zeros(groups, inputs, dtype=torch.float64)
        self._count = 0

    def add(self, inputs: Tensor, reference: Tensor) -> None:
        """Add n patches of both models, float32 [G, n, I]."""
        self._gram.baddbmm_(inputs.transpose(1, 2), inputs)
        self._cross.baddbmm_(reference.transpose(1, 2), inputs)
        self._mean += inputs.sum(dim=1, dtype=torch.float64)
        self._reference_mean += reference.sum(dim=1, dtype=torch.float64)
        self._count += inputs.shape[1]

    def moments(self) -> Moments:
        mean = (self._mean / self._count).float()
        reference_mean = (self._reference_mean / self._count).float()
        gram = self._gram / self._count - mean[:, :, None] * mean[:, None]
        cross = self._cross / self._count - reference_mean[:, :, None] * mean[:, None]
        return Moments(gram, cross, mean, reference_mean)


def patches(conv: nn.Conv2d, x: Tensor, chosen: Tensor | None = None) -> Tensor:
    """The inputs of each output location of a convolution.

    Args:
        conv: the convolution.
        x: float32 [B, C, H, W].
        chosen: int64, which of the output locations, or None for all of them.

    Returns:
        float32 [groups, B * locations, C / groups * kh * kw].
    """
    if conv.kernel_size == (1, 1) and conv.stride == (1, 1) and conv.padding == (0, 0):
        columns = x.flatten(2)
    else:
        columns = functional.unfold(x, conv.kernel_size, conv.dilation, conv.padding, conv.stride)
    if chosen is not None:
        columns = columns[:, :, chosen]
    batch, _, count = columns.shape
    grouped = columns.reshape(batch, conv.groups, -1, count).permute(1, 0, 3, 2)
    return grouped.reshape(conv.groups, batch * count, -1)


def location_count(conv: nn.Conv2d, x: Tensor) -> int:
    """Output locations of a convolution on an input [B, C, H, W]."""
    sizes = zip(x.shape[2:], conv.kernel_size, conv.stride, conv.padding, conv.dilation, strict=True)
    spans = [(n + 2 * int(p) - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes]
    return spans[0] * spans[1]

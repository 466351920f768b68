"""torch modules whose weights are packed codes; each calls one op of :mod:`pocketvlad.lut.ops`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad.lut import ops  # noqa: F401  registers the ops the modules call
from pocketvlad.lut.rows import QuantizedRows
from pocketvlad.lut.tensor import LutTensor

OPS = torch.ops.pocketvlad


def _copied(array: np.ndarray | None) -> Tensor | None:
    """A copy with ordinary strides: an axis of length 1 may have stride 0, which a program cannot hold."""
    return None if array is None else torch.from_numpy(array.copy(order="C"))


class PackedLayer(nn.Module):
    """Holds the packed bytes of one :class:`LutTensor` and its bias as buffers."""

    packed: Tensor
    row_offsets: Tensor | None
    codebook: Tensor
    row_scale: Tensor | None
    bias: Tensor | None

    def __init__(self, lut: LutTensor, bias: np.ndarray | None, fast: bool):
        super().__init__()
        self.bits, self.fast = lut.bits, fast
        self.layout, self.block = lut.layout.number(lut.shape), lut.layout.parameter
        offsets = lut.packed.row_offsets
        self.register_buffer("packed", torch.from_numpy(lut.packed.packed))
        self.register_buffer("row_offsets", None if offsets is None else torch.from_numpy(offsets))
        self.register_buffer("codebook", _copied(lut.codebook))
        self.register_buffer("row_scale", _copied(lut.row_scale))
        self.register_buffer("bias", _copied(bias))

    def arguments(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, int, int]:
        """What every op of a packed convolution takes after its input."""
        return self.packed, self.codebook, self.row_scale, self.bias, self.bits, self.layout


class LutLinear(PackedLayer):
    """``nn.Linear`` over packed codes: float32 [B, I] -> float32 [B, O]."""

    def __init__(self, lut: LutTensor, bias: np.ndarray | None, *, fast: bool, activation: int = 0):
        super().__init__(lut, bias, fast)
        self.in_features, self.out_features = lut.columns, lut.rows
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return OPS.lut_linear(
            x,
            self.packed,
            self.row_offsets,
            self.codebook,
            self.row_scale,
            self.bias,
            self.bits,
            self.layout,
            self.block,
            self.in_features,
            self.out_features,
            self.fast,
            self.activation,
        )


class LutConv2d(PackedLayer):
    """``nn.Conv2d`` over packed codes, activation and max pooling fused: float32 [B, C, H, W] -> [B, O, H', W']."""

    def __init__(
        self,
        lut: LutTensor,
        bias: np.ndarray | None,
        like: nn.Conv1d | nn.Conv2d,
        *,
        fast: bool,
        activation: int,
    ):
        super().__init__(lut, bias, fast)
        self.out_channels, self.groups, self.activation = like.out_channels, like.groups, activation
        sizes, steps, pads, gaps = like.kernel_size, like.stride, like.padding, like.dilation
        self.kernel_size, self.stride = _two(sizes, 1), _two(steps, 1)
        self.padding, self.dilation = _two(pads, 0), _two(gaps, 1)
        self.pool: list[int] = []  # of a MaxPool, once one is fused

    def forward(self, x: Tensor) -> Tensor:
        return OPS.lut_conv2d(
            x,
            *self.arguments(),
            self.out_channels,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            self.fast,
            self.activation,
            self.pool,
        )


def _two(values: tuple[int, ...] | str, missing: int) -> list[int]:
    """Vertical and horizontal; a 1-D convolution has no vertical one."""
    found = [int(value) for value in values]
    return found if len(found) == 2 else [missing, *found]


class LutVladPool(PackedLayer):
    """NetVLAD aggregation over a packed soft assignment: float32 [B, D, H, W] -> float32 [B, K * D]."""

    centroids: Tensor
    centroid_scale: Tensor

    def __init__(
        self,
        lut: LutTensor,
        bias: np.ndarray | None,
        centroids: np.ndarray,
        centroid_scale: np.ndarray,
        *,
        fast: bool,
    ):
        super().__init__(lut, bias, fast)
        self.clusters = lut.rows
        self.register_buffer("centroids", torch.from_numpy(centroids))
        self.register_buffer("centroid_scale", torch.from_numpy(centroid_scale))

    def forward(self, x: Tensor) -> Tensor:
        return OPS.vlad_pool(
            x,
            *self.arguments(),
            self.clusters,
            self.centroids,
            self.centroid_scale,
            self.fast,
        )


class LutConv1d(LutConv2d):
    """``nn.Conv1d`` over packed codes, computed as a 2-D convolution of height 1: float32 [B, C, L] -> [B, O, L']."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.unsqueeze(2)).squeeze(2)


class Int8Rows(nn.Module):
    """A constant matrix of a head from its int8 rows: () -> float32 [R, C]."""

    values: Tensor
    scale: Tensor

    def __init__(self, rows: QuantizedRows):
        super().__init__()
        self.register_buffer("values", torch.from_numpy(rows.values.copy()))
        self.register_buffer("scale", torch.from_numpy(rows.scale[:, None].copy()))

    def forward(self) -> Tensor:
        return self.values.to(torch.float32) * self.scale

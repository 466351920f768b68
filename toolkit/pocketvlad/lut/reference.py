"""The NumPy oracle of the lookup ops: what every kernel on every machine must compute.

Two semantics:

* ``exact``: float32 centroids, float32 sums (NumPy sums in its own order; a kernel's float32 sum of n terms
  may differ by about ``n * 2**-24`` of the sum of absolute products, and in practice by its square root).
* ``fast``: activations per image quantized to int8 by ``sx = max|x| / 127``, ``xq = rint(x / sx)``; where a
  convolution's image has no negative value, to 8 bits without a sign, ``sx = max(x) / 255``;
  centroids per codebook group by ``sc = max|c| / 127``, ``cq = rint(c / sc)``; sums in int32, exact on every
  machine; ``y = sum * (sx * sc * row_scale) + bias``. Against ``exact`` the error of one output is at most
  ``sum_i |w_i| * sx / 2 + |x_i| * sc * row_scale / 2`` to first order.

Rounding is to nearest, ties to even (NumPy's ``rint``, C's ``rintf``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pocketvlad.lut.tensor import LutTensor

NONE, RELU, RELU6 = 0, 1, 2
_UNSIGNED_COLUMNS = 66_000  # 255 * 127 * 66000 < 2**31


@dataclass(frozen=True)
class MaxPool:
    """Max pooling behind a convolution: square windows; with ``ceil`` the last one may be cut off by the edge."""

    kernel: int
    stride: int
    ceil: bool = False

    @classmethod
    def of(cls, values: Sequence[int]) -> MaxPool | None:
        """From the ops' argument: nothing, or kernel, stride, ceil."""
        return cls(values[0], values[1], bool(values[2])) if values else None

    def to_list(self) -> list[int]:
        """The ops' argument."""
        return [self.kernel, self.stride, int(self.ceil)]

    def size(self, size: int) -> int:
        """Windows along an axis (as torch counts them: none starts past the end)."""
        room = size - self.kernel
        windows = (-(-room // self.stride) if self.ceil else room // self.stride) + 1
        return windows if (windows - 1) * self.stride < size else windows - 1


def activate(y: np.ndarray, activation: int) -> np.ndarray:
    """0 none, 1 ReLU, 2 ReLU6."""
    if activation == RELU:
        return np.maximum(y, 0)
    return np.clip(y, 0, 6) if activation == RELU6 else y


def quantize_activations(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 [B, ...] -> int8 values as int32 [B, ...] and scales float32 [B], per first index."""
    largest = np.abs(x.reshape(x.shape[0], -1)).max(axis=1).astype(np.float32)
    scale = (largest / np.float32(127)).astype(np.float32)
    inverse = np.divide(np.float32(127), largest, out=np.zeros_like(largest), where=largest > 0)
    shaped = inverse.reshape(-1, *([1] * (x.ndim - 1)))
    return np.clip(np.rint(x * shaped), -127, 127).astype(np.int32), scale


def quantize_image(x: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`quantize_activations`, without a sign for each image that needs none.

    Args:
        x: float32 [B, ...].
        columns: of the weights; above 66,000 every image keeps its sign (the sums would not fit int32).
    """
    signed, scale = quantize_activations(x)
    for image in range(len(x)):
        if columns > _UNSIGNED_COLUMNS or (x[image] < 0).any():
            continue
        largest = np.abs(x[image]).max().astype(np.float32)
        scale[image] = largest / np.float32(255)
        inverse = np.float32(255) / largest if largest > 0 else np.float32(0)
        signed[image] = np.clip(np.rint(x[image] * inverse), 0, 255).astype(np.int32)
    return signed, scale


def quantize_codebook(codebook: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 [G, 2**bits] -> int8 values as int32 of that shape and scales float32 [G]."""
    return quantize_activations(codebook)


def integer_weights(lut: LutTensor) -> tuple[np.ndarray, np.ndarray]:
    """int8 weights as int32 [O, I] and the scale of each output row, float32 [O] (row scale included)."""
    levels, scales = quantize_codebook(lut.codebook)
    group = np.arange(lut.rows) // lut.rows_per_group
    weights = np.take_along_axis(levels[group], lut.codes.astype(np.int64), axis=1)
    if lut.mask is not None:
        weights = weights * lut.mask
    scale = scales[group]
    return weights, scale if lut.row_scale is None else scale * lut.row_scale


def lut_linear(
    x: np.ndarray, lut: LutTensor, bias: np.ndarray | None = None, *, fast: bool = False, activation: int = 0
) -> np.ndarray:
    """``activation(x @ W.T + bias)``: x float32 [B, I] -> float32 [B, O]."""
    if fast:
        weights, row = integer_weights(lut)
        xq, sx = quantize_activations(x)
        sums = xq.astype(np.int64) @ weights.T.astype(np.int64)
        y = sums.astype(np.float32) * (sx[:, None] * row[None])
    else:
        y = x @ lut.dequantize().T
    return activate(y if bias is None else y + bias, activation).astype(np.float32)


def lut_conv2d(
    x: np.ndarray,
    lut: LutTensor,
    bias: np.ndarray | None = None,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    fast: bool = False,
    activation: int = 0,
    pool: MaxPool | None = None,
) -> np.ndarray:
    """2-D convolution: x float32 [B, C, H, W], weight [O, C / groups, kh, kw] -> float32 [B, O, H', W'], max-pooled."""
    out_channels, _, kh, kw = lut.shape
    if fast:
        weights, row = integer_weights(lut)
        values, sx = quantize_image(x, lut.columns)
        scale = sx[:, None] * row[None]
    else:
        weights, values = lut.dequantize().reshape(out_channels, -1), x
        scale = np.ones((x.shape[0], out_channels), np.float32)
    found = patches(values, (kh, kw), stride, padding, dilation, groups)
    grouped = weights.reshape(groups, out_channels // groups, -1)
    sums = np.einsum("bgkyx,gok->bgoyx", found, grouped, optimize=True)
    y = sums.reshape(x.shape[0], out_channels, *sums.shape[3:]).astype(np.float32) * scale[:, :, None, None]
    if bias is not None:
        y = y + bias[None, :, None, None]
    y = activate(y, activation).astype(np.float32)
    return y if pool is None else max_pool(y, pool)


def max_pool(x: np.ndarray, pool: MaxPool) -> np.ndarray:
    """float32 [B, C, H, W] -> [B, C, H', W']: the largest value of each window."""
    height, width = (pool.size(size) for size in x.shape[2:])
    reach = [pool.kernel + pool.stride * (size - 1) for size in (height, width)]
    edge = [(0, max(0, end - size)) for end, size in zip(reach, x.shape[2:], strict=True)]
    padded = np.pad(x, ((0, 0), (0, 0), *edge), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (pool.kernel, pool.kernel), axis=(2, 3))
    return windows[:, :, :: pool.stride, :: pool.stride][:, :, :height, :width].max(axis=(4, 5))


def patches(
    x: np.ndarray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> np.ndarray:
    """[B, C, H, W] -> [B, groups, C / groups * kh * kw, H', W'], zero-padded."""
    (py, px), (dy, dx), (sy, sx) = padding, dilation, stride
    padded = np.pad(x, ((0, 0), (0, 0), (py, py), (px, px)))
    span = (dy * (kernel[0] - 1) + 1, dx * (kernel[1] - 1) + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(2, 3))
    windows = windows[:, :, ::sy, ::sx, ::dy, ::dx]
    batch, channels, height, width = windows.shape[:4]
    moved = windows.transpose(0, 1, 4, 5, 2, 3)
    return moved.reshape(batch, groups, channels // groups * kernel[0] * kernel[1], height, width)


def vlad_pool(
    x: np.ndarray,
    assignment: LutTensor,
    bias: np.ndarray | None,
    centroids: np.ndarray,
    centroid_scale: np.ndarray,
    *,
    fast: bool = False,
) -> np.ndarray:
    """NetVLAD aggregation (Arandjelovic et al., CVPR 2016, eq. 4).

    Args:
        x: float32 [B, D, H, W], last convolution's output.
        assignment: weight [K, D] or [K, D, 1, 1] of the soft assignment.
        bias: float32 [K] or None.
        centroids: int8 [K, D]; cluster centre k is ``centroids[k] * centroid_scale[k]``.
        centroid_scale: float32 [K].
        fast: int8 products in the soft assignment (one activation scale per image).

    Returns:
        float32 [B, K * D], unit length, cluster by cluster (index ``k * D + d``).
    """
    features = _unit(x.reshape(*x.shape[:2], -1), axis=1)
    if fast:
        weights, row = integer_weights(assignment)
        values, sx = quantize_image(features, assignment.columns)
        logits = np.einsum("kd,bdn->bkn", weights, values).astype(np.float32)
        logits *= (sx[:, None] * row[None])[:, :, None]
    else:
        logits = np.einsum("kd,bdn->bkn", assignment.dequantize().reshape(assignment.rows, -1), features)
    if bias is not None:
        logits = logits + bias[None, :, None]
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    centres = centroids.astype(np.float32) * centroid_scale[:, None]
    vlad = np.einsum("bkn,bdn->bkd", weights, features) - weights.sum(axis=2)[:, :, None] * centres
    return _unit(_unit(vlad, axis=2).reshape(x.shape[0], -1), axis=1).astype(np.float32)


def _unit(x: np.ndarray, axis: int) -> np.ndarray:
    """L2 normalisation with the epsilon of torch.nn.functional.normalize."""
    return x / np.maximum(np.linalg.norm(x, axis=axis, keepdims=True), 1e-12)


def on_grid(lut: LutTensor) -> LutTensor:
    """The same ``fast`` results from an 8-bit layer whose codes are its int8 weights.

    Code ``i`` stands for ``max(i - 128, -127)`` times the group's scale; code 0 is never used. Kernels
    recognise this codebook and read the codes (with the top bit flipped) as an int8 matrix, without a lookup.
    """
    levels, scales = quantize_codebook(lut.codebook)
    group = np.arange(lut.rows) // lut.rows_per_group
    codes = np.empty_like(lut.codes)
    for row in range(lut.rows):
        codes[row] = (levels[group[row]] + 128).astype(np.uint8)[lut.codes[row]]
    grid = np.maximum(np.arange(256) - 128, -127).astype(np.float32)
    codebook = scales[:, None] * grid[None]
    return LutTensor(lut.shape, 8, codes, codebook.astype(np.float32), lut.row_scale, lut.mask, lut.layout)

"""NumPy's word for attention and the norm of tokens, to the bit: what ``kernels/lut/attention.h`` computes.

Every sum is a chain in one order: of fused products in attention, of 16 sums side by side in the norm.
"""

from __future__ import annotations

import numpy as np

_SUMS = 16  # of a row: value i goes to sum i % 16
_ONE = np.float32(1)
_POWERS = (0.00829029735, 0.0418980233, 0.166676372, 0.499991477, 0.999999702, 1.0)  # of r, the highest first


def attention(qkv: np.ndarray, heads: int, scale: float) -> np.ndarray:
    """Self-attention of each sequence: ``softmax(scale * q k^T) v``, head by head.

    Args:
        qkv: float32 [B, N, 3 * heads * D]: queries, keys and values of a token side by side.
        heads: how many.
        scale: of the queries.

    Returns:
        float32 [B, N, heads * D].
    """
    batch, tokens, width = qkv.shape
    parts = qkv.reshape(batch, tokens, 3, heads, width // (3 * heads)).transpose(2, 0, 3, 1, 4)
    queries, keys, values = parts[0] * np.float32(scale), parts[1], parts[2]
    scores = np.zeros((batch, heads, tokens, tokens), np.float32)
    for d in range(queries.shape[-1]):
        scores = fused(queries[..., :, None, d], keys[..., None, :, d], scores)
    weights = exp_negative(scores - scores.max(axis=-1, keepdims=True))
    total, mixed = np.zeros((batch, heads, tokens, 1), np.float32), np.zeros(queries.shape, np.float32)
    for m in range(tokens):
        total = total + weights[..., m : m + 1]
        mixed = fused(weights[..., m : m + 1], values[..., m : m + 1, :], mixed)
    return (mixed / total).transpose(0, 2, 1, 3).reshape(batch, tokens, width // 3)


def layer_norm(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, epsilon: float
) -> np.ndarray:
    """float32 [..., D], each row with mean 0 and variance 1, times ``weight`` plus ``bias`` [D] if there are any."""
    count = np.float32(x.shape[-1])
    centred = x - (_sum(x) / count)[..., None]
    inverse = _ONE / np.sqrt(_sum(centred * centred) / count + np.float32(epsilon))
    y = centred * inverse[..., None]
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def fused(a: np.ndarray, b: np.ndarray | np.float32, c: np.ndarray | np.float32) -> np.ndarray:
    """``a * b + c`` of float32 with one rounding.

    The product is exact in float64. Their sum there is rounded to odd, which keeps what a second rounding needs
    (Boldo, Melquiond, "Emulation of a FMA and correctly rounded sums", IEEE Trans. Computers 2008).
    """
    product, addend = a.astype(np.float64) * b, c.astype(np.float64)
    total = product + addend
    part = total - product
    lost = (product - (total - part)) + (addend - part)
    bits = total.view(np.int64)
    toward = np.where((lost > 0) == (total > 0), 1, -1)
    odd = np.where((lost != 0) & (bits & 1 == 0), bits + toward, bits)
    return odd.view(np.float64).astype(np.float32)


def exp_negative(x: np.ndarray) -> np.ndarray:
    """``e ** x`` of float32 that is not positive, as the kernels compute it."""
    x = np.maximum(x, np.float32(-87))
    shift = np.float32(12582912)  # 1.5 * 2^23 rounds to an integer
    whole = fused(x, np.float32(1.44269504), shift) - shift
    r = fused(whole, np.float32(2.12194440e-4), fused(whole, np.float32(-0.693359375), x))
    p = np.full_like(x, _POWERS[0])
    for power in _POWERS[1:]:
        p = fused(p, r, np.float32(power))
    return (p.view(np.int32) + (whole.astype(np.int32) << 23)).view(np.float32)


def _sum(x: np.ndarray) -> np.ndarray:
    missing = -x.shape[-1] % _SUMS
    whole = np.concatenate([x, np.zeros((*x.shape[:-1], missing), np.float32)], axis=-1)
    parts = whole.reshape(*x.shape[:-1], -1, _SUMS)
    sums = np.zeros((*x.shape[:-1], _SUMS), np.float32)
    for number in range(parts.shape[-2]):
        sums = sums + parts[..., number, :]
    while sums.shape[-1] > 1:
        half = sums.shape[-1] // 2
        sums = sums[..., :half] + sums[..., half:]
    return sums[..., 0]

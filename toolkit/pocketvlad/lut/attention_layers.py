"""torch modules of what stands between a transformer's linear layers; each calls one op of
:mod:`pocketvlad.lut.attention_ops`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pocketvlad.lut import attention_ops  # noqa: F401  registers the ops the modules call

OPS = torch.ops.pocketvlad
HEAD_STEP = 8  # a head's width is a multiple of it


class FusedAttention(nn.Module):
    """Self-attention as one op: float32 [B, N, 3 * C], queries, keys and values of a token -> [B, N, C]."""

    def __init__(self, heads: int, scale: float):
        super().__init__()
        self.heads, self.scale = heads, scale

    def forward(self, qkv: Tensor) -> Tensor:
        return OPS.attention(qkv, self.heads, self.scale)


class RowNorm(nn.Module):
    """``nn.LayerNorm`` of the last dimension, float32."""

    def __init__(self, like: nn.LayerNorm):
        super().__init__()
        self.weight, self.bias, self.epsilon = like.weight, like.bias, like.eps

    def forward(self, x: Tensor) -> Tensor:
        return OPS.layer_norm(x, self.weight, self.bias, self.epsilon)

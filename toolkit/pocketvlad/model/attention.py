"""Multi-head self-attention in operations that every runtime has: linear layers, two products and a softmax."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn


class SelfAttention(nn.Module):
    """float32 [B, N, C] -> [B, N, C]; ``qkv`` has the rows of queries, keys and values one after the other."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads, self.scale = heads, (channels // heads) ** -0.5
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(attention(self.qkv(x), self.heads, self.scale))


@fx.wrap
def attention(qkv: Tensor, heads: int, scale: float) -> Tensor:
    """float32 [B, N, 3 * C] -> [B, N, C]; one node of a traced graph, which has a kernel of its own."""
    parts = qkv.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4).flatten(1, 2)
    weights = torch.bmm(parts[0] * scale, parts[1].transpose(1, 2)).softmax(dim=2)
    return joined(torch.bmm(weights, parts[2]), heads)


def split(x: Tensor, heads: int) -> Tensor:
    """[B, N, C] -> [B * heads, N, C / heads]: products of three dimensions need no copies."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2).flatten(0, 1)


def joined(x: Tensor, heads: int) -> Tensor:
    """The inverse of :func:`split`."""
    return x.unflatten(0, (-1, heads)).transpose(1, 2).flatten(2)

"""Bag of queries: learned queries that look at a photo's encoded features, twice.

Ali-bey, Chaib-draa, Giguere, "BoQ: A Place is Worth a Bag of Learnable Queries", CVPR 2024. What the queries say to
each other does not depend on the photo, nor does their product with the keys' weights: both are in the weights here.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pocketvlad.model.attention import SelfAttention, joined, split
from pocketvlad.model.heads.base import Head, HeadOptions
from pocketvlad.model.roles import ATTENTION, CONVOLUTION, LINEAR, MLP
from pocketvlad.model.unit import unit_length

HEAD_WIDTH = 64  # values of an attention head


@dataclass(frozen=True)
class BoqOptions(HeadOptions):
    """Attributes:
    width: P, of the encoded features; a multiple of 64.
    queries: of each block.
    blocks: encoders, each with its queries.
    rows: that the queries' answers are projected to.
    """

    width: int = 512
    queries: int = 64
    blocks: int = 2
    rows: int = 32


class Encoder(nn.Module):
    """A transformer layer, normalised behind each sum: float32 [B, n, P] -> [B, n, P]."""

    def __init__(self, width: int):
        super().__init__()
        self.attn = SelfAttention(width, width // HEAD_WIDTH)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        layers = {
            "fc1": nn.Linear(width, 4 * width),
            "act": nn.ReLU(),
            "fc2": nn.Linear(4 * width, width),
        }
        self.mlp = nn.Sequential(OrderedDict(layers))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.attn(x))
        return self.norm2(x + self.mlp(x))


class Answers(nn.Module):
    """Cross-attention of constant queries: float32 [B, n, P] -> [B, queries, P].

    ``scores`` is the keys' layer times every query of every head, row ``head * queries + query``: a bias of the keys
    moves all scores of a query alike, which the softmax does not see.
    """

    def __init__(self, width: int, queries: int):
        super().__init__()
        self.heads = width // HEAD_WIDTH
        self.scores = nn.Linear(width, self.heads * queries, bias=False)
        self.values = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.scores(x).transpose(1, 2).softmax(dim=2)  # [B, heads * queries, n]
        by_head = weights.unflatten(1, (self.heads, -1)).flatten(0, 1)
        found = torch.bmm(by_head, split(self.values(x), self.heads))
        return self.norm(self.proj(joined(found, self.heads)))


class Boq(Head):
    """float32 [B, D, H, W] -> [B, P * rows], index ``p * rows + row``."""

    Options = BoqOptions

    def __init__(self, channels: int, options: BoqOptions):
        super().__init__(channels, options)
        self.outputs = options.width * options.rows
        self.proj_c = nn.Conv2d(channels, options.width, 3, padding=1)
        self.norm_input = nn.LayerNorm(options.width)
        self.encoders = nn.ModuleList(Encoder(options.width) for _ in range(options.blocks))
        self.answers = nn.ModuleList(Answers(options.width, options.queries) for _ in range(options.blocks))
        self.fc = nn.Linear(options.blocks * options.queries, options.rows)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm_input(self.proj_c(x).flatten(2).transpose(1, 2))
        found = []
        for encoder, answers in zip(self.encoders, self.answers, strict=True):
            x = encoder(x)
            found.append(answers(x))
        return unit_length(self.fc(torch.cat(found, dim=1).transpose(1, 2)).flatten(1))

    def roles(self) -> dict[str, str]:
        found = {"proj_c": CONVOLUTION, "fc": LINEAR}
        names = [name for name, module in self.named_modules() if isinstance(module, nn.Linear)]
        return {name: MLP if ".mlp." in name else ATTENTION for name in names} | found

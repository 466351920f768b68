"""SALAD: local features shared out to clusters by optimal transport, beside a token for the whole photo.

Izquierdo, Civera, "Optimal Transport Aggregation for Visual Place Recognition", CVPR 2024, written from its equations;
MegaLoc (Berton, Masone, CVPR workshops 2025) puts a linear layer behind it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pocketvlad.errors import RecipeError
from pocketvlad.model.heads.base import Head, HeadOptions
from pocketvlad.model.roles import ASSIGNMENT, LINEAR, PROJECTION
from pocketvlad.model.unit import unit_length

_ITERATIONS = 3  # of the Sinkhorn scaling


@dataclass(frozen=True)
class SaladOptions(HeadOptions):
    """Attributes:
    patches: n, of the photo.
    clusters: m, fewer than there are patches.
    cluster_dim: values of a cluster.
    token_dim: values of the whole photo's token.
    hidden: width of the three perceptrons.
    dim: of a linear layer behind it (MegaLoc's); 0: none.
    """

    patches: int = 529
    clusters: int = 64
    cluster_dim: int = 128
    token_dim: int = 256
    hidden: int = 512
    dim: int = 0


class Salad(Head):
    """float32 [B, D, 1, 1 + n], the class token first -> [B, token_dim + cluster_dim * m], or [B, dim].

    Behind the token, value l of cluster c has index ``l * m + c``.
    """

    Options = SaladOptions
    rows: Tensor

    def __init__(self, channels: int, options: SaladOptions):
        super().__init__(channels, options)
        width = options.token_dim + options.cluster_dim * options.clusters
        self.outputs = options.dim or width
        self.token_features = nn.Sequential(
            nn.Linear(channels, options.hidden), nn.ReLU(), nn.Linear(options.hidden, options.token_dim)
        )
        self.cluster_features = _perceptron(channels, options.hidden, options.cluster_dim)
        self.score = _perceptron(channels, options.hidden, options.clusters)
        # what is added to the scores of m clusters and of the dustbin: 0 and the learned score
        self.dust_bin = nn.Parameter(torch.zeros(1, options.clusters + 1, 1))
        self.linear = nn.Linear(width, options.dim) if options.dim else None
        spare = math.log(max(1, options.patches - options.clusters))  # patches that the dustbin takes
        rows = [0.0] * options.clusters + [spare]
        # constants, with values even where weights have none
        self.register_buffer("rows", torch.tensor(rows, device="cpu")[None, :, None], persistent=False)

    @classmethod
    def check_size(cls, options: SaladOptions, height: int, width: int, stride: int) -> None:
        found = (height // stride) * (width // stride) if stride else 0
        if found <= options.clusters:
            side = math.isqrt(options.clusters) + 1
            raise RecipeError(
                f"SALAD needs more patches than its {options.clusters} clusters",
                found=f"{found} of {height}x{width}",
                allowed=f"at least {options.clusters + 1}, such as {side * stride}x{side * stride}",
            )
        if found != options.patches:
            raise RecipeError(
                f"this SALAD is made for {options.patches} patches",
                found=f"{found} of {height}x{width}",
                do="import it for the size wanted",
            )

    def forward(self, x: Tensor) -> Tensor:
        token = unit_length(self.token_features(x[:, :, 0, 0]))
        patches = x[:, :, :, 1:]
        shares = self.shares(self.score(patches).flatten(2))
        clusters = torch.bmm(self.cluster_features(patches).flatten(2), shares.transpose(1, 2))
        found = unit_length(torch.cat([token, unit_length(clusters).flatten(1)], dim=1))
        return found if self.linear is None else unit_length(self.linear(found))

    def shares(self, scores: Tensor) -> Tensor:
        """How much of each patch goes to each cluster, the dustbin's share left out: float32 [B, m, n] -> [B, m, n].

        The exponentials' rows shall sum to 1, the dustbin's to n - m, and their columns to 1:
        ``u = log a - logsumexp_n(M + v)``, ``v = log b - logsumexp_m(M + u)``, three times from v = 0.
        """
        scores = functional.pad(scores, (0, 0, 0, 1)) + self.dust_bin
        moved = scores
        for _ in range(_ITERATIONS):
            by_row = scores + (self.rows - _log_sum(moved, dim=2))
            by_column = -_log_sum(by_row, dim=1)
            moved = scores + by_column
        return (by_row + by_column).exp()[:, :-1]

    def last_linear(self) -> str | None:
        return None if self.linear is None else "linear"

    def roles(self) -> dict[str, str]:
        found = {
            name: LINEAR
            for name, module in self.named_modules()
            if isinstance(module, (nn.Linear, nn.Conv2d))
        }
        found["score.2"] = ASSIGNMENT
        return found if self.linear is None else found | {"linear": PROJECTION}


def _perceptron(channels: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, outputs, 1))


def _log_sum(x: Tensor, dim: int) -> Tensor:
    """``logsumexp`` with the axis kept, in operations that the phone has."""
    largest = x.amax(dim=dim, keepdim=True)
    return largest + (x - largest).exp().sum(dim=dim, keepdim=True).log()

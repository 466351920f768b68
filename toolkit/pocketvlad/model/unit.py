"""Unit length as a program computes it."""

from __future__ import annotations

import torch
from torch import Tensor


def unit_length(x: Tensor, dim: int = 1) -> Tensor:
    """``torch.nn.functional.normalize`` in three ops a program can run, without its ``expand``."""
    return x / torch.linalg.vector_norm(x, dim=dim, keepdim=True).clamp_min(1e-12)

"""A model that ends in a whitening fitted to vectors of known variances; its fixtures are imported by name."""

import copy

import pytest
import torch
from torch import nn

from helpers.models import make_model
from pocketvlad.model.network import Network
from pocketvlad.model.whitening import fit_whitening

COLUMNS = 8 * 512


def vectors(count: int, seed: int) -> torch.Tensor:
    """Float32 [count, 4096] of falling variance, the first the largest."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, COLUMNS, generator=random) * torch.linspace(1, 0, COLUMNS) ** 8


@pytest.fixture(scope="module")
def whitening() -> nn.Linear:
    """Of 4,000 vectors: the variances it knows are those of others, too."""
    return fit_whitening(vectors(4000, seed=0), 16)


@pytest.fixture
def fitted(whitening) -> Network:
    """A model that ends in a whitening of its own."""
    model = make_model(clusters=8, dim=16)
    model.whitening = copy.deepcopy(whitening)
    return model

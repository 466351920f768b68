"""One small model and its photos, made once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.models import make_model, make_photos
from pocketvlad.model.network import Network


@pytest.fixture(scope="session")
def model() -> Network:
    return make_model()


@pytest.fixture(scope="session")
def photos() -> torch.Tensor:
    return make_photos(12)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)

"""What a recipe makes of the descriptors before anything is compressed."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from helpers.models import make_model, make_photos
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import LayerRecipe, Recipe
from pocketvlad.compress.whitened import keep_dimensions, require_pca, wanted_descriptors
from pocketvlad.errors import RecipeError
from pocketvlad.model.network import Network
from pocketvlad.model.whitening import fit_whitening

PHOTOS = make_photos(4)
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


def test_fewer_dimensions_are_the_leading_ones_of_a_pca_whitening(fitted):
    with pytest.raises(RecipeError, match="principal directions"):
        require_pca(make_model(clusters=8, dim=16))
    with torch.inference_mode():
        whole = fitted(PHOTOS)
        half = wanted_descriptors(fitted, Recipe(1, "half", dimensions=0.5))(PHOTOS)
    assert half.shape == (4, 8) and fitted.config.dim == 16
    assert torch.allclose(half, normalize(whole[:, :8]), atol=1e-6)
    assert keep_dimensions(fitted, 16) is fitted
    made = compress_network(fitted, Recipe(1, "half", layer=LayerRecipe(bits=3), dimensions=0.5))
    assert made.to_torch()(PHOTOS).shape == (4, 8)

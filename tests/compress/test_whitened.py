"""What a recipe makes of the descriptors before anything is compressed."""

import pytest
import torch
from torch.nn.functional import normalize

from helpers.models import make_model, make_photos
from helpers.whitened import fitted, whitening
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import LayerRecipe, Recipe
from pocketvlad.compress.whitened import keep_dimensions, require_pca, wanted_descriptors
from pocketvlad.errors import RecipeError

__all__ = ["fitted", "whitening"]  # fixtures
PHOTOS = make_photos(4)


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

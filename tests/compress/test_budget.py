"""The search for a size or an accuracy."""

import pytest
import torch
from conftest import make_model, make_photos

from pocketvlad.compress.budget import (
    candidates,
    most_accurate_within,
    predicted_bytes,
    smallest_losing_at_most,
)
from pocketvlad.compress.post_training import compress_model
from pocketvlad.compress.sizes import model_bytes
from pocketvlad.errors import RecipeError
from pocketvlad.recipe import check_recipe

MODEL = make_model(clusters=8, dim=64)
PHOTOS = make_photos(4)


def loss(compressed) -> float:
    with torch.inference_mode():
        return float(1 - (MODEL(PHOTOS) * compressed.to_torch()(PHOTOS)).sum(dim=1).mean())


def test_sizes_are_known_before_compressing():
    options = candidates(MODEL, calibrated=False)
    assert [c.bytes for c in options] == sorted((c.bytes for c in options), reverse=True)
    for candidate in options[:: len(options) // 3]:
        check_recipe(candidate.recipe, "search")
        made = model_bytes(compress_model(MODEL, candidate.recipe))
        assert predicted_bytes(MODEL, candidate.recipe) == pytest.approx(made, rel=0.03)


def test_a_size_is_kept_and_used():
    options = candidates(MODEL, calibrated=False)
    limit = options[len(options) // 2].bytes
    found = most_accurate_within(MODEL, limit, loss, tries=2)
    assert model_bytes(found.compressed) <= limit
    assert model_bytes(found.compressed) > 0.7 * limit
    assert found.loss == min(value for _, value in found.tried)


def test_an_accuracy_is_kept_by_the_smallest_that_does():
    found = smallest_losing_at_most(MODEL, 0.02, loss)
    assert found.loss <= 0.02
    smaller = [value for c, value in found.tried if c.bytes < model_bytes(found.compressed) * 0.97]
    assert all(value > 0.02 for value in smaller)


def test_what_cannot_be_had_is_said():
    with pytest.raises(RecipeError, match="at least"):
        most_accurate_within(MODEL, 1000, loss)
    with pytest.raises(RecipeError, match="at best"):
        smallest_losing_at_most(MODEL, -1.0, loss)

"""Large JPEGs are decoded smaller, by one rule with the phone; LogicTest.java has the same cases."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pocketvlad.model.preprocess import Preprocess, jpeg_reduction, load_photo, photo_tensor

SMALL, LARGE = Preprocess(192, 256), Preprocess(480, 640)


@pytest.mark.parametrize(
    ("width", "height", "preprocess", "scale"),
    [
        (1, 1, SMALL, 1),
        (2047, 1536, SMALL, 1),
        (2048, 1535, SMALL, 1),
        (2048, 1536, SMALL, 2),
        (1536, 2048, SMALL, 2),
        (4096, 3072, SMALL, 4),
        (4000, 3000, SMALL, 2),
        (16000, 12500, SMALL, 8),
        (16000, 1000, SMALL, 1),  # a panorama keeps its short side
        (30000, 1000, SMALL, 2),  # unless it is more than a phone holds
        (4000, 3000, LARGE, 1),
        (8000, 6000, LARGE, 2),
    ],
)
def test_the_rule(width, height, preprocess, scale):
    assert jpeg_reduction(width, height, preprocess) == scale


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    path = tmp_path_factory.mktemp("photo") / "a.jpg"
    Image.fromarray(pixels).resize((2051, 1537), Image.Resampling.BICUBIC).save(path, quality=95)
    return path


def test_a_large_jpeg_is_decoded_at_half_its_size_for_a_small_model(photo):
    assert load_photo(photo, SMALL).pixels.shape == (769, 1026, 3)
    assert load_photo(photo, LARGE).pixels.shape == load_photo(photo).pixels.shape == (1537, 2051, 3)


def test_the_model_sees_the_reduced_photo_and_nearly_the_same(photo):
    seen = photo_tensor(photo, SMALL)
    assert (seen == photo_tensor(load_photo(photo, SMALL), SMALL)).all()
    full = photo_tensor(load_photo(photo), SMALL)
    assert 0 < np.abs(seen - full).mean() < 0.05


def test_other_formats_keep_their_size(photo, tmp_path):
    Image.open(photo).save(tmp_path / "a.png", compress_level=1)
    assert load_photo(tmp_path / "a.png", SMALL).pixels.shape == (1537, 2051, 3)

"""Photos with a colour profile are described as what they show: a phone's Display P3, an editor's sRGB."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from helpers.icc import DISPLAY_P3, SRGB, profile, to_srgb
from pocketvlad.model.preprocess import load_photo


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_display_p3_becomes_srgb(pixels, tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    lossless = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(pixels).save(path, icc_profile=profile(DISPLAY_P3), **lossless)
    expected = to_srgb(pixels, DISPLAY_P3)
    assert np.abs(expected.astype(int) - pixels).max() > 20
    assert np.abs(load_photo(path).pixels.astype(int) - expected).max() <= 2


def test_a_jpeg_with_a_profile(pixels, tmp_path):
    smooth = np.asarray(Image.fromarray(pixels[:6, :8]).resize((160, 120), Image.Resampling.BICUBIC))
    for name, icc in (("plain", b""), ("p3", profile(DISPLAY_P3))):
        Image.fromarray(smooth).save(tmp_path / f"{name}.jpg", quality=95, icc_profile=icc)
    plain, converted = (load_photo(tmp_path / f"{name}.jpg").pixels for name in ("plain", "p3"))
    assert np.abs(converted.astype(int) - to_srgb(plain, DISPLAY_P3)).max() <= 2


def test_transparency_is_converted_and_lies_on_white(tmp_path):
    pixels = np.full((8, 8, 4), (0, 255, 0, 255), np.uint8)
    pixels[:4, :, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=profile(DISPLAY_P3))
    found = load_photo(tmp_path / "a.png").pixels
    assert (found[0, 0] == 255).all()
    assert np.abs(found[7, 7].astype(int) - to_srgb(pixels[7, 7, :3], DISPLAY_P3)).max() <= 2


@pytest.mark.parametrize("icc", [b"", profile(SRGB), b"no profile", profile(DISPLAY_P3)[:200]])
def test_srgb_and_damaged_profiles_change_nothing(pixels, tmp_path, icc):
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=icc)
    assert (load_photo(tmp_path / "a.png").pixels == pixels).all()


@pytest.mark.parametrize("transparency", [None, 1])
def test_a_palette_is_converted(tmp_path, transparency):
    image = Image.new("P", (8, 8))
    image.putpalette([0, 255, 0, 10, 20, 30])
    options = {} if transparency is None else {"transparency": transparency}
    image.save(tmp_path / "a.png", icc_profile=profile(DISPLAY_P3), **options)
    expected = to_srgb(np.array([0, 255, 0]), DISPLAY_P3).astype(int)
    assert np.abs(load_photo(tmp_path / "a.png").pixels[0, 0] - expected).max() <= 2


def test_grey_with_a_profile_of_colours_is_read(tmp_path):
    Image.new("L", (8, 8), 77).save(tmp_path / "a.png", icc_profile=profile(DISPLAY_P3))
    assert (load_photo(tmp_path / "a.png").pixels == 77).all()

"""The C function that turns pixels into a model's input, and the settings it takes."""

from __future__ import annotations

import ctypes
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pocketvlad.core import native
from pocketvlad.errors import ArtifactError, PhotoError, RecipeError
from pocketvlad.model.preprocess import DecodedPhoto, Preprocess, photo_tensor, preprocess_pixels
from resize_oracle import PLAIN, STORED, reference, scene


@pytest.mark.parametrize("size", [(480, 640), (37, 91), (1, 1), (1, 300), (7, 5), (1000, 3)])
@pytest.mark.parametrize("out", [(48, 64), (224, 224), (1, 1)])
def test_resize_is_the_triangle_filter(size, out):
    pixels = scene(*size)
    got = preprocess_pixels(pixels, 1, Preprocess(*out, **PLAIN))
    np.testing.assert_allclose(got, reference(pixels, *out), atol=2e-6)


@pytest.mark.parametrize("size", [(480, 640), (301, 199), (40, 50)])
def test_resize_is_pillows_bilinear_within_its_rounding(size):
    pixels = scene(*size)
    want = np.asarray(
        Image.fromarray(pixels).resize((160, 120), Image.Resampling.BILINEAR, reducing_gap=None)
    )
    got = preprocess_pixels(pixels, 1, Preprocess(120, 160, **PLAIN)) * 255
    # Pillow rounds to 8 bits after each of its two passes: half a level each.
    assert np.abs(got.transpose(1, 2, 0) - want).max() <= 1.01


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("channels", [3, 4])
def test_every_orientation_gives_the_upright_photo(orientation, channels):
    upright = scene(61, 83, channels)
    stored = np.ascontiguousarray(STORED[orientation](upright))
    got = preprocess_pixels(stored, orientation, Preprocess(32, 48, **PLAIN))
    np.testing.assert_allclose(got, reference(upright, 32, 48), atol=2e-6)


def test_normalisation():
    got = preprocess_pixels(
        np.full((5, 5, 3), 51, np.uint8), 1, Preprocess(3, 4, (0.1, 0.2, 0.3), (0.5, 0.25, 2.0))
    )
    np.testing.assert_allclose(got[:, 0, 0], [0.2, 0.0, -0.05], atol=1e-6)
    assert got.shape == (3, 3, 4)


def test_rows_may_be_padded():
    """A bitmap with a stride longer than its rows: the padding never shows."""
    padded = scene(20, 40)
    view = np.ascontiguousarray(padded[:, :30])
    lib_input = padded.copy()
    lib_input[:, 30:] = 255
    tensor = np.empty((3, 8, 8), np.float32)
    status = call(lib_input, 30, 20, 40 * 3, 3, 1, tensor)
    assert status == 0
    np.testing.assert_array_equal(tensor, preprocess_pixels(view, 1, Preprocess(8, 8, **PLAIN)))


def call(pixels, width, height, stride, channels, orientation, out, std=1.0) -> int:
    triple = ctypes.c_float * 3
    return native.core().pv_preprocess(
        ctypes.c_void_p(pixels.ctypes.data),
        width,
        height,
        ctypes.c_size_t(stride),
        channels,
        orientation,
        out.shape[1],
        out.shape[2],
        triple(0, 0, 0),
        triple(std, std, std),
        ctypes.c_void_p(out.ctypes.data),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"height": -1},
        {"height": (1 << 20) + 1},
        {"stride": 5},
        {"channels": 2},
        {"channels": 5},
        {"orientation": 0},
        {"orientation": 9},
        {"std": 0.0},
        {"std": float("nan")},
    ],
    ids=str,
)
def test_c_refuses_impossible_arguments(change):
    arguments = {"width": 2, "height": 2, "stride": 6, "channels": 3, "orientation": 1, "std": 1.0, **change}
    out = np.empty((3, 2, 2), np.float32)
    assert call(np.zeros(64, np.uint8), out=out, **arguments) == -1


def test_refused_pixels_are_one_line():
    with pytest.raises(PhotoError, match=r"cannot be preprocessed.*orientation 9"):
        preprocess_pixels(np.zeros((4, 4, 3), np.uint8), 9, Preprocess(4, 4))


sides = st.integers(1, 16384)
finite = st.floats(-10, 10, allow_nan=False)


@given(sides, sides, st.tuples(finite, finite, finite), st.tuples(*[st.floats(1e-3, 10)] * 3))
def test_preprocess_round_trip(height, width, mean, std):
    value = Preprocess(height, width, mean, std)
    assert Preprocess.from_json(json.loads(json.dumps(value.to_json()))) == value


@pytest.mark.parametrize(
    "bad",
    [{"height": 0}, {"width": 20000}, {"std": (0.0, 1.0, 1.0)}, {"mean": (float("nan"), 0.0, 0.0)}],
    ids=str,
)
def test_impossible_preprocess_is_refused(bad):
    with pytest.raises(RecipeError, match=r"of the input is impossible|input size is impossible"):
        Preprocess(**bad)


@pytest.mark.parametrize("bad", [{}, {"height": 1}, {**Preprocess().to_json(), "mean": [1, 2]}], ids=str)
def test_preprocess_from_damaged_json(bad):
    with pytest.raises(ArtifactError, match="how it wants its photos"):
        Preprocess.from_json(bad)


def test_decoded_photo_is_taken_as_it_is():
    upright = scene(20, 30)
    photo = DecodedPhoto(np.ascontiguousarray(STORED[6](upright)), 6)
    np.testing.assert_allclose(
        photo_tensor(photo, Preprocess(10, 10, **PLAIN)), reference(upright, 10, 10), atol=2e-6
    )

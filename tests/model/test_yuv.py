"""The C function that turns a camera's frame into RGB, against the same integers in NumPy."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketvlad.core import native

PLANES = ("y", "u", "v")


class Yuv(ctypes.Structure):
    """``pv_yuv`` of preprocess.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in PLANES),
        *((f"{name}_size", ctypes.c_size_t) for name in PLANES),
        *((f"{name}_row_stride", ctypes.c_size_t) for name in PLANES),
        *((f"{name}_pixel_stride", ctypes.c_size_t) for name in PLANES),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
    )


def stored(plane: np.ndarray, row_stride: int, step: int) -> np.ndarray:
    """A plane in memory as a camera leaves it: 77 in the gaps, nothing after the last value."""
    rows, columns = plane.shape
    memory = np.full(row_stride * (rows - 1) + (columns - 1) * step + 1, 77, np.uint8)
    for row in range(rows):
        memory[row * row_stride : row * row_stride + (columns - 1) * step + 1 : step] = plane[row]
    return memory


def converted(planes: list[np.ndarray], paddings: list[int], steps: list[int]) -> np.ndarray:
    height, width = planes[0].shape
    frame, kept = Yuv(width=width, height=height), []
    for name, plane, padding, step in zip(PLANES, planes, paddings, steps, strict=True):
        row_stride = plane.shape[1] * step + padding
        memory = stored(plane, row_stride, step)
        kept.append(memory)
        setattr(frame, name, memory.ctypes.data)
        setattr(frame, f"{name}_size", len(memory))
        setattr(frame, f"{name}_row_stride", row_stride)
        setattr(frame, f"{name}_pixel_stride", step)
    rgb = np.empty((height, width, 3), np.uint8)
    assert native.core().pv_yuv_to_rgb(ctypes.byref(frame), ctypes.c_void_p(rgb.ctypes.data)) == 0
    return rgb


def reference(y: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Full-range BT.601 in 16-bit fixed point, each u and v for its block of 2x2."""
    blue, red = (
        plane.repeat(2, 0).repeat(2, 1)[: y.shape[0], : y.shape[1]].astype(np.int32) - 128 for plane in (u, v)
    )
    light = (y.astype(np.int32) << 16) + (1 << 15)
    channels = (light + 91881 * red, light - 22554 * blue - 46802 * red, light + 116130 * blue)
    return np.stack([np.clip(channel >> 16, 0, 255) for channel in channels], -1).astype(np.uint8)


sides = st.integers(1, 33)
strides = st.lists(st.integers(0, 20), min_size=3, max_size=3)


@settings(max_examples=60)
@given(sides, sides, strides, st.lists(st.integers(1, 3), min_size=3, max_size=3), st.integers(0, 2**32 - 1))
def test_any_size_and_strides(height, width, paddings, steps, seed):
    random = np.random.default_rng(seed)
    half = ((height + 1) // 2, (width + 1) // 2)
    planes = [random.integers(0, 256, size, np.uint8) for size in ((height, width), half, half)]
    np.testing.assert_array_equal(converted(planes, paddings, steps), reference(*planes))


def test_grey_stays_and_every_colour_is_within_a_level_of_the_formula():
    values = np.arange(256, dtype=np.uint8)
    grey = converted([values[None], *[np.full((1, 128), 128, np.uint8)] * 2], [0] * 3, [1] * 3)
    np.testing.assert_array_equal(grey[0], np.repeat(values[:, None], 3, 1))
    u, v = (plane.ravel()[None] for plane in np.meshgrid(values, values))
    blue, red = u[0] - 128.0, v[0] - 128.0
    want = 128 + np.stack([1.402 * red, -0.344136 * blue - 0.714136 * red, 1.772 * blue], -1)
    y = np.full((2, 512), 128, np.uint8)
    for at in range(0, 65536, 256):
        part = slice(at, at + 256)
        got = converted([y, u[:, part], v[:, part]], [0] * 3, [1] * 3)[0, ::2]
        assert np.abs(got - np.clip(want[part], 0, 255)).max() <= 0.51  # rounding to a level


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"height": -1},
        {"width": 16385},
        {"y_size": 15},
        {"u_size": 3},
        {"y_row_stride": 3},
        {"v_row_stride": 1},
        {"u_pixel_stride": 0},
        {"v_pixel_stride": 9},
        {"y_row_stride": 2**64 - 1},
        {"u": None},
    ],
    ids=str,
)
def test_impossible_frames_are_refused(change):
    memory = np.zeros(64, np.uint8)
    plain = dict.fromkeys(PLANES, memory.ctypes.data) | {"width": 4, "height": 4}
    plain |= {f"{name}_{what}": 1 for name in PLANES for what in ("size", "row_stride", "pixel_stride")}
    plain |= {"y_size": 16, "y_row_stride": 4, "u_size": 4, "u_row_stride": 2, "v_size": 4, "v_row_stride": 2}
    rgb = np.empty((4, 4, 3), np.uint8)
    convert, out = native.core().pv_yuv_to_rgb, ctypes.c_void_p(rgb.ctypes.data)
    assert convert(ctypes.byref(Yuv(**plain)), out) == 0
    assert convert(ctypes.byref(Yuv(**(plain | change))), out) == -1

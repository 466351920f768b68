"""Photos of every kind a folder can hold: decoded, or refused in one line that names them."""

from __future__ import annotations

import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.photos import write_png16
from pocketvlad.errors import PhotoError
from pocketvlad.model import preprocess as module
from pocketvlad.model.preprocess import Preprocess, load_photo, photo_tensor
from resize_oracle import PLAIN, STORED, reference, scene


def save(path: Path, array: np.ndarray, mode: str | None = None, **options) -> Path:
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "webp", "bmp", "tif", "jpg", "gif", "ppm"])
def test_formats(tmp_path, suffix):
    pixels = scene(30, 40)
    options = {"lossless": True} if suffix == "webp" else {"quality": 95} if suffix == "jpg" else {}
    photo = load_photo(save(tmp_path / f"a.{suffix}", pixels, **options))
    assert photo.pixels.shape == (30, 40, 3) and photo.pixels.dtype == np.uint8 and photo.orientation == 1
    assert np.abs(photo.pixels.astype(int) - pixels).mean() < (25 if suffix in ("jpg", "gif") else 1e-9)


@pytest.mark.parametrize("kind", ["EPS", "ICO", "TGA", "SPIDER", "DDS", "AVIF", "JPEG2000"])
def test_other_formats_are_refused_whatever_the_name_says(tmp_path, kind):
    """An EPS would start Ghostscript, an icon is decoded before its size is known, others end in errors of any kind."""
    data = io.BytesIO()
    Image.new("F" if kind == "SPIDER" else "RGB", (64, 64)).save(data, kind)
    (tmp_path / "photo.jpg").write_bytes(data.getvalue())
    with pytest.raises(
        PhotoError, match=r"photo.jpg cannot be decoded; found no known .*; allowed: JPEG, PNG"
    ):
        load_photo(tmp_path / "photo.jpg")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_obeyed(tmp_path, orientation):
    upright = scene(40, 56)
    exif = Image.Exif()
    exif[274] = orientation
    path = save(tmp_path / "a.png", np.ascontiguousarray(STORED[orientation](upright)), exif=exif)
    assert load_photo(path).orientation == orientation
    np.testing.assert_allclose(
        photo_tensor(path, Preprocess(24, 24, **PLAIN)), reference(upright, 24, 24), atol=2e-6
    )


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_unknown_orientation_is_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    assert load_photo(save(tmp_path / "a.png", scene(8, 8), exif=exif)).orientation == 1


def test_damaged_exif_does_not_spoil_the_photo(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(scene(16, 16)).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff\x01\x00\x12\x01")
    photo = load_photo(path)
    assert photo.orientation == 1 and photo.pixels.shape == (16, 16, 3)


def test_cmyk_jpeg(tmp_path):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, 8:] = (250, 30, 20)
    photo = load_photo(save(tmp_path / "a.jpg", pixels, "CMYK", quality=95))
    assert np.abs(photo.pixels[4, 12].astype(int) - (250, 30, 20)).max() < 12
    assert photo.pixels[4, 4].max() < 12


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    "peak, white", [(65535, 65535), (4096, 65535), (4095, 4095), (300, 4095), (200, 4095)]
)
def test_16_bit_grey_is_of_12_bits_if_it_fits(tmp_path, suffix, peak, white):
    values = np.linspace(0, peak, 256).astype(np.uint16).reshape(16, 16)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(values).save(path)
    want = np.rint(values * (255 / white))
    np.testing.assert_array_equal(load_photo(path).pixels, np.repeat(want[..., None], 3, -1))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("peak, white", [(65535, 65535), (4096, 65535), (4095, 4095), (300, 4095)])
def test_16_bit_colour_is_read_to_its_last_bit(tmp_path, peak, white, channels):
    """The alpha of a 12-bit photo is of 16 bits all the same; here all of it is opaque but the first pixel."""
    values = np.random.default_rng(0).integers(0, peak + 1, (9, 7, channels)).astype(np.uint16)
    values[3, 3, :3] = peak
    if channels == 4:
        values[..., 3] = 65535
        values[0, 0, 3] = 0
    loaded = load_photo(write_png16(tmp_path / "a.png", values)).pixels
    want = np.rint(values[..., :3] * (255 / white)).astype(np.uint8)
    if channels == 4:
        want[0, 0] = 255
    np.testing.assert_array_equal(loaded, want)


def test_16_bit_colour_takes_little_memory(tmp_path):
    """Twelve bytes a pixel of NumPy's, and a part's: it took 65, which is 7 GB for 100 megapixels."""
    write_png16(tmp_path / "deep.png", np.full((3000, 2000, 3), 40000, np.uint16))
    tracemalloc.start()
    photo = load_photo(tmp_path / "deep.png")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert photo.pixels.shape == (3000, 2000, 3) and most < 25 * 3000 * 2000


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_colour_tiff_of_either_byte_order(tmp_path, order):
    values = np.random.default_rng(1).integers(0, 4096, (5, 6, 3)).astype(np.uint16)
    values[0, 0] = 4095
    tags = [(256, 6), (257, 5), (258, 16), (259, 1), (262, 2), (273, 200), (277, 3), (278, 5), (279, 180)]
    directory = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags)
    directory = directory.replace(
        struct.pack(order + "HHII", 258, 4, 1, 16), struct.pack(order + "HHII", 258, 3, 3, 190)
    )
    header = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    data = header + struct.pack(order + "H", len(tags)) + directory + struct.pack(order + "I", 0)
    data = data.ljust(190, b"\0") + struct.pack(order + "HHH", 16, 16, 16)
    (tmp_path / "a.tif").write_bytes(data.ljust(200, b"\0") + values.astype(order + "u2").tobytes())
    loaded = load_photo(tmp_path / "a.tif").pixels
    np.testing.assert_array_equal(loaded, np.rint(values * (255 / 4095)).astype(np.uint8))


@pytest.mark.parametrize("peak,white", [(1.0, 1.0), (200.0, 255.0), (4000.0, 4095.0), (40000.0, 65535.0)])
def test_float_tiff_takes_the_range_that_holds_it(tmp_path, peak, white):
    values = np.linspace(0, peak, 64, dtype=np.float32).reshape(8, 8)
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    np.testing.assert_array_equal(load_photo(path).pixels[..., 0], np.rint(values * (255 / white)))


def test_alpha_and_palette_lie_on_white(tmp_path):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, 4:, 3] = 255
    for mode, name in (("RGBA", "a.png"), ("LA", "b.png"), ("P", "c.png")):
        loaded = load_photo(save(tmp_path / name, pixels, mode)).pixels
        assert loaded[0, 7].max() == 0, mode
        if mode != "P":  # this palette has no transparent entry
            assert loaded[0, 0].min() == 255, mode


def test_transparent_palette_entry_lies_on_white(tmp_path):
    image = Image.fromarray(np.tile(np.uint8([0, 1]), (8, 4)), "P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.save(tmp_path / "a.png", transparency=0)
    loaded = load_photo(tmp_path / "a.png").pixels
    assert loaded[0, 0].tolist() == [255, 255, 255] and loaded[0, 1].tolist() == [200, 100, 50]


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animation_gives_its_first_frame(tmp_path, suffix):
    red, blue = Image.new("RGB", (12, 12), (255, 0, 0)), Image.new("RGB", (12, 12), (0, 0, 255))
    path = tmp_path / f"a.{suffix}"
    red.save(path, save_all=True, append_images=[blue])
    assert np.abs(load_photo(path).pixels[5, 5].astype(int) - (255, 0, 0)).max() <= 4


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1)])
def test_one_pixel_is_too_small(tmp_path, size):
    path = save(tmp_path / "dot.png", np.zeros((*size, 3), np.uint8))
    with pytest.raises(PhotoError, match=r"dot\.png is too small.*2x2"):
        load_photo(path)


def test_missing_folder_and_text_are_refused_by_name(tmp_path):
    (tmp_path / "notes.jpg").write_text("not a photo")
    (tmp_path / "empty.jpg").write_bytes(b"")
    for name, reason in (
        ("gone.jpg", "does not exist"),
        ("notes.jpg", "no known"),
        ("empty.jpg", "no known"),
        ("", ""),
    ):
        with pytest.raises(PhotoError, match=reason) as caught:
            load_photo(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


def encoded(suffix: str) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(scene(40, 48)).save(buffer, suffix, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", ["JPEG", "PNG"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_truncated_photo_is_refused_by_name(tmp_path, suffix, part):
    data, path = encoded(suffix), tmp_path / "half.photo"
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(PhotoError, match=r"half\.photo cannot be decoded"):
        load_photo(path)


@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "WEBP", "TIFF", "GIF"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_decode_or_raise_photo_error(tmp_path, suffix, data):
    damaged = bytearray(encoded(suffix))
    for at in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=8)):
        damaged[at] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        photo = load_photo(path)
    except PhotoError as error:
        assert "\n" not in str(error)
    else:
        assert photo.pixels.ndim == 3 and photo.pixels.shape[2] == 3


@pytest.mark.slow
def test_200_megapixel_jpeg_is_reduced_while_decoding(tmp_path):
    path = tmp_path / "huge.jpg"
    Image.new("RGB", (16000, 12512), (10, 200, 90)).save(path, quality=50)
    photo = load_photo(path)
    assert photo.pixels.shape == (6256, 8000, 3)
    assert np.abs(photo.pixels[100, 100].astype(int) - (10, 200, 90)).max() < 6


def test_500_megapixel_header_asks_for_a_quarter(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "MAX_PIXELS", 1000)
    assert load_photo(save(tmp_path / "a.jpg", scene(64, 80))).pixels.shape == (16, 20, 3)


def test_200_megapixel_png_is_refused_before_decoding(tmp_path):
    """Only the header is read: the file holds no pixels at all."""
    import struct
    import zlib

    header = b"IHDR" + struct.pack(">IIBBBBB", 20000, 10000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    empty = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    path = tmp_path / "huge.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + empty)
    guard = Image.MAX_IMAGE_PIXELS
    with pytest.raises(PhotoError, match=r"too large.*200 megapixels.*100 megapixels"):
        load_photo(path)
    assert guard == Image.MAX_IMAGE_PIXELS

"""`index search --draw`: each photo with its matches beside it."""

from __future__ import annotations

import io
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pocketvlad.errors import IndexFormatError
from pocketvlad.index import Entry, PlaceIndex
from pocketvlad.report.drawing import draw_matches

COLOURS = ((200, 30, 30), (30, 180, 60), (40, 60, 210))


def jpeg(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (160, 120), colour).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture
def index() -> PlaceIndex:
    """A red, a green and a photo without a thumbnail."""
    pictures = (jpeg(COLOURS[0]), jpeg(COLOURS[1]), b"")
    entries = tuple(
        Entry(f"{n}.jpg", "a place" if n else "", None, None, picture) for n, picture in enumerate(pictures)
    )
    return PlaceIndex(np.eye(3, dtype=np.float32), None, None, entries, bytes(32), None, {})


def colour_of(sheet: Image.Image, line: int, column: int) -> tuple[int, ...]:
    return sheet.getpixel((8 + column * 168 + 80, 8 + line * 162 + 60))


def test_photos_and_matches_lie_side_by_side(tmp_path, index):
    photos = [tmp_path / "blue.jpg", tmp_path / "red.jpg"]
    for photo, colour in zip(photos, (COLOURS[2], COLOURS[0]), strict=True):
        photo.write_bytes(jpeg(colour))
    rows, cosines = np.array([[1, 0], [0, 2]]), np.array([[0.9, 0.5], [1.0, 0.1]], np.float32)
    draw_matches(tmp_path / "matches.png", photos, rows, cosines, index)
    with Image.open(tmp_path / "matches.png") as sheet:
        assert sheet.size == (8 + 3 * 168, 8 + 2 * 162)
        found = [[colour_of(sheet, line, column) for column in range(3)] for line in range(2)]
    wanted = [[COLOURS[2], COLOURS[1], COLOURS[0]], [COLOURS[0], COLOURS[0], (255, 255, 255)]]
    assert np.abs(np.subtract(found, wanted)).max() < 6


def test_names_that_are_no_text_are_drawn(tmp_path, index):
    photo = tmp_path / os.fsdecode(b"caf\xe9 \xf0\x9f\x98\x80.jpg")
    photo.write_bytes(jpeg(COLOURS[2]))
    draw_matches(tmp_path / "m.png", [photo], np.array([[0]]), np.array([[0.5]], np.float32), index)
    assert Image.open(tmp_path / "m.png").width == 8 + 2 * 168


def test_a_damaged_thumbnail_names_the_index_and_the_photo(tmp_path, index):
    photo = tmp_path / "blue.jpg"
    photo.write_bytes(jpeg(COLOURS[2]))
    entries = (replace(index.entries[0], thumbnail=b"\xff\xd8garbage"), *index.entries[1:])
    asked = [photo], np.array([[0]]), np.array([[0.5]], np.float32), replace(index, entries=entries)
    with pytest.raises(IndexFormatError, match="p.pvix: the thumbnail of photo 0.jpg is damaged"):
        draw_matches(tmp_path / "m.png", *asked, source="p.pvix")
    assert not (tmp_path / "m.png").exists()

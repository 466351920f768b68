"""The journal of a collection under a full disk, and what makes a photo another one."""

from __future__ import annotations

import dataclasses
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.faults import fault
from pocketvlad.dataset import Photo
from pocketvlad.errors import ArtifactError
from pocketvlad.evaluate.journal import Journal
from pocketvlad.index.about import about_photo, entry_of

PHOTOS = tuple(Photo(Path(f"/nowhere/{number}.jpg"), f"{number}.jpg") for number in range(3))
ROWS = np.arange(3 * 256, dtype=np.float32).reshape(3, 256)
HEAD, FRONT = 32, 29
RECORD = FRONT + ROWS[0].nbytes


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file grows longer while the block lasts: what does not fit is written in part, as on a full disk."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@fault(
    "the disk is full in the middle of a photo's record", "one line; the record is none, others stay whole"
)
@pytest.mark.parametrize("size", [HEAD // 2, HEAD + 7, HEAD + RECORD - 1])
def test_a_record_that_does_not_fit_is_none(tmp_path, size):
    """Room comes back in the middle of the run."""
    with Journal(tmp_path, b"x", PHOTOS) as journal:
        with disk_of(size), pytest.raises(ArtifactError, match="cannot write"):
            journal.add(0, ROWS[0])
        for photo in (1, 2):
            journal.add(photo, ROWS[photo])
        assert journal.described() == [1, 2]
        np.testing.assert_array_equal([journal.row(photo) for photo in (1, 2)], ROWS[1:])
    with Journal(tmp_path, b"x", PHOTOS) as again:
        assert again.missing() == [0]
        np.testing.assert_array_equal(again.row(2), ROWS[2])


@pytest.mark.parametrize("latitude, longitude", [(48.0, 2.0), (1.0, 11.0), (None, None)])
@fault("the list of positions is corrected between a stop and the next run", "the photos get the new ones")
def test_a_photo_of_another_position_is_looked_at_again(tmp_path, latitude, longitude):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.jpg")
    photo = Photo(tmp_path / "a.jpg", "a.jpg", "p", latitude=1.0, longitude=2.0)
    with Journal(tmp_path, b"x", [photo]) as journal:
        journal.add(0, ROWS[0], about_photo(photo))
    with Journal(tmp_path, b"x", [photo]) as journal:
        assert journal.described() == [0]
    corrected = dataclasses.replace(photo, latitude=latitude, longitude=longitude)
    with Journal(tmp_path, b"x", [corrected]) as journal:
        assert journal.missing() == [0]
        journal.add(0, ROWS[0], about_photo(corrected))
        entry = entry_of(corrected, journal.beside(0))
    assert (entry.latitude, entry.longitude) == (latitude, longitude)


@fault("a byte of the second photo's record changes between a stop and the next run", "it is described again")
@pytest.mark.parametrize("at", [0, 16, 17, 18, 20, 21, 24, 25, FRONT, RECORD - 1])
@pytest.mark.parametrize("change", [1, 4, 128])
def test_a_record_that_was_damaged_is_none(tmp_path, at, change):
    """Key, kind, lengths, checksum or values: no other row comes out, and the photo before it stays."""
    with Journal(tmp_path, b"x", PHOTOS) as journal:
        for photo, row in enumerate(ROWS):
            journal.add(photo, row)
    (file,) = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    data[HEAD + RECORD + at] ^= change
    file.write_bytes(data)
    with Journal(tmp_path, b"x", PHOTOS) as again:
        assert again.missing() == [1, 2] and again.described() == [0]
        np.testing.assert_array_equal(again.row(0), ROWS[0])
        for photo in again.missing():
            again.add(photo, ROWS[photo])
        np.testing.assert_array_equal([again.row(photo) for photo in range(3)], ROWS)


def test_lengths_that_changed_places_are_seen(tmp_path):
    """Their sum, and so every byte that follows, is what it was."""
    with Journal(tmp_path, b"x", PHOTOS[:1]) as journal:
        journal.add(0, ROWS[0], b"beside")
    (file,) = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    data[HEAD + 17] ^= 4
    data[HEAD + 21] += 4 if data[HEAD + 17] == 0 else -4
    file.write_bytes(data)
    with Journal(tmp_path, b"x", PHOTOS[:1]) as again:
        assert again.missing() == [0]

"""Indexes from photos: real files, a describer whose descriptors are known."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from pocketvlad.dataset.types import Dataset, Photo
from pocketvlad.errors import DatasetError, IndexFormatError, PhotoError
from pocketvlad.index import (
    Entry,
    PlaceIndex,
    build,
    build_index,
    join_indices,
    open_index,
    search_index,
    suggest_threshold,
    write_index,
)
from pocketvlad.index.about import clean_text, exif_position, make_entry, thumbnail
from pocketvlad.index.entries import split_label
from pocketvlad.index.types import encode_vectors
from pocketvlad.model.preprocess import Preprocess, photo_tensor

FINGERPRINT = bytes(range(32))
COLOURS = {"red": (230, 20, 20), "green": (20, 230, 20), "blue": (20, 20, 230)}


def describe(path: Path) -> np.ndarray:
    """The mean colour of the centre, as a unit row: float32 [3]."""
    mean = photo_tensor(path, Preprocess(8, 8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))[:, 2:6, 2:6].mean((1, 2))
    return mean / np.linalg.norm(mean)


def save(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (64, 48), **options) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, colour).save(path, quality=95, **options)
    return path


@pytest.fixture
def photos(tmp_path) -> list[Photo]:
    """Two photos of each of three places, and nothing wrong with any."""
    found = []
    for place, colour in COLOURS.items():
        for view in range(2):
            shade = tuple(max(0, value - 25 * view) for value in colour)
            path = save(tmp_path / place / f"{view}.jpg", shade)
            found.append(Photo(path, f"{place}/{view}.jpg", place))
    return found


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_build_write_open_search(photos, tmp_path, dtype):
    seen = []
    index, skipped = build_index(
        describe,
        photos,
        FINGERPRINT,
        dtype=dtype,
        info={"why": "test"},
        progress=lambda *done: seen.append(done),
    )
    assert not skipped and seen == [(i + 1, 6) for i in range(6)]
    write_index(tmp_path / "a.pvix", index)
    opened = open_index(tmp_path / "a.pvix")
    assert opened.vectors.dtype == dtype and opened.info == {"why": "test"}
    assert [entry.name for entry in opened.entries] == [photo.name for photo in photos]
    assert opened.labels() == ["red"] * 2 + ["green"] * 2 + ["blue"] * 2
    queries = np.stack([describe(photo.path) for photo in photos])
    rows, cosines = search_index(opened, queries, 2)
    assert [[opened.entries[row].label for row in found] for found in rows] == [[p.place] * 2 for p in photos]
    assert opened.threshold is not None and (cosines >= opened.threshold).all()


def test_corrupt_photos_are_skipped_and_named(photos):
    photos[1].path.write_bytes(b"\xff\xd8 broken")
    photos[4].path.unlink()
    index, skipped = build_index(describe, photos, FINGERPRINT)
    assert len(index) == 4
    assert len(skipped) == 2 and "red/1.jpg" in skipped[0] and "blue/0.jpg" in skipped[1]


def test_nothing_readable_is_one_line(photos):
    for photo in photos:
        photo.path.write_bytes(b"")
    with pytest.raises(PhotoError, match="no photo of the photos could be read"):
        build_index(describe, photos, FINGERPRINT)


def test_a_dataset_will_do(photos):
    dataset = Dataset("named", tuple(photos), (), tuple(range(6)), skipped=("one more",))
    index, skipped = build_index(describe, dataset, FINGERPRINT)
    assert len(index) == 6 and skipped == ["one more"]


def test_queries_and_junk_of_a_dataset_stay_out(photos):
    """Of each place one is asked for; blue's other is junk: red and green have a photo each on the map."""
    junk = replace(photos[5], junk=True)
    dataset = Dataset("roles", (*photos[:5], junk), (), (1, 3, 5))
    index, _ = build_index(describe, dataset, FINGERPRINT)
    assert [(entry.name, entry.label) for entry in index.entries] == [
        ("red/1.jpg", "red"),
        ("green/1.jpg", "green"),
    ]
    with pytest.raises(
        DatasetError, match="dataset roles has no photo of a map; found 6 photos, all of them"
    ):
        build_index(describe, replace(dataset, database=()), FINGERPRINT)


def test_a_photo_of_two_places_carries_both_labels(photos, tmp_path):
    both = replace(photos[0], also=("hall", "stairs"))
    write_index(tmp_path / "a.pvix", build_index(describe, [both, *photos[1:]], FINGERPRINT)[0])
    opened = open_index(tmp_path / "a.pvix")
    assert opened.labels()[:2] == ["red | hall | stairs", "red"]
    assert split_label(opened.labels()[0]) == ("red", "hall", "stairs")
    assert opened.places() == ["blue", "green", "hall", "red", "stairs"]


def test_names_that_no_index_can_hold_are_made_clean(photos, tmp_path):
    assert clean_text("two\nlines\x7f \udcff é広") == "two\ufffdlines\ufffd \ufffd é広"
    odd = [Photo(photos[0].path, "odd\udcff\n.jpg", "place\t1"), *photos[1:]]
    index, _ = build_index(describe, odd, FINGERPRINT)
    write_index(tmp_path / "a.pvix", index)
    assert open_index(tmp_path / "a.pvix").entries[0].name == "odd\ufffd\ufffd.jpg"


@pytest.mark.parametrize("pixels,wanted", [(160, (160, 80)), (40, (40, 20)), (1000, (400, 200))])
def test_thumbnail_is_a_small_jpeg(tmp_path, pixels, wanted):
    path = save(tmp_path / "a.jpg", (10, 20, 200), size=(400, 200))
    image = Image.open(io.BytesIO(thumbnail(path, pixels)))
    assert image.format == "JPEG" and image.size == wanted


def test_thumbnail_is_upright(tmp_path):
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :40] = (255, 0, 0)  # the stored left side is the upright top: orientation 6 turns clockwise
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
    upright = np.asarray(Image.open(io.BytesIO(thumbnail(tmp_path / "a.jpg"))))
    assert upright.shape == (80, 40, 3)
    assert upright[5, 20, 0] > 200 and upright[75, 20, 0] < 50


def test_no_thumbnails_if_none_are_wanted(photos):
    index, _ = build_index(describe, photos, FINGERPRINT, thumbnail_px=0)
    assert {entry.thumbnail for entry in index.entries} == {b""}


def gps(latitude: tuple, north: str, longitude: tuple, east: str) -> Image.Exif:
    exif = Image.Exif()
    ifd = exif.get_ifd(ExifTags.IFD.GPSInfo)
    ifd.update({1: north, 2: latitude, 3: east, 4: longitude})
    return exif


def test_position_comes_from_exif_unless_the_dataset_has_one(tmp_path):
    path = save(tmp_path / "a.jpg", (9, 9, 9), exif=gps((48.0, 51.0, 29.6), "N", (2.0, 17.0, 40.2), "W"))
    entry = make_entry(Photo(path, "a"))
    assert (entry.latitude, entry.longitude) == pytest.approx((48.858222, -2.2945), abs=1e-6)
    entry = make_entry(Photo(path, "a", latitude=1.0, longitude=2.0))
    assert (entry.latitude, entry.longitude) == (1.0, 2.0)


@pytest.mark.parametrize("south", ["S", "s", "South", "SOUTH", "S\0", " S "])
@pytest.mark.parametrize("west", ["W", "w", "west"])
def test_references_in_any_spelling(tmp_path, south, west):
    path = save(tmp_path / "a.jpg", (9, 9, 9), exif=gps((33.0, 30.0, 0.0), south, (70.0, 36.0, 0.0), west))
    assert exif_position(path) == pytest.approx((-33.5, -70.6))


@pytest.mark.parametrize(
    "exif",
    [
        gps((33.0, 30.0, 0.0), "", (70.0, 36.0, 0.0), "W"),
        gps((33.0, 30.0, 0.0), "S", (70.0, 36.0, 0.0), "O"),
        gps((99.0, 0.0, 0.0), "N", (2.0, 0.0, 0.0), "E"),
        gps((9.0, 0.0), "N", (2.0, 0.0, 0.0), "E"),
        Image.Exif(),
    ],
    ids=["no reference", "east or west", "beyond the pole", "two numbers", "none"],
)
def test_positions_that_make_no_sense_are_none(tmp_path, exif):
    assert exif_position(save(tmp_path / "a.jpg", (9, 9, 9), exif=exif)) is None


def make(
    names: list[str], vectors: np.ndarray, labels: list[str] | None = None, dtype: str = "float32"
) -> PlaceIndex:
    places = labels or names
    entries = tuple(Entry(name, place) for name, place in zip(names, places, strict=True))
    return PlaceIndex(*encode_vectors(vectors, dtype), entries, FINGERPRINT, None, {"first": 1})


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_add_keeps_what_is_there_bit_for_bit(dtype):
    rng = np.random.default_rng(0)
    old = make(["a", "b", "c"], rng.standard_normal((3, 9)).astype(np.float32), dtype=dtype)
    new = make(["d", "e"], rng.standard_normal((2, 9)).astype(np.float32))
    joined = join_indices([old, new])
    assert [entry.name for entry in joined.entries] == ["a", "b", "c", "d", "e"]
    assert joined.vectors.dtype == dtype and joined.info == {"first": 1}
    np.testing.assert_array_equal(joined.vectors[:3], old.vectors)
    np.testing.assert_array_equal(joined.descriptors()[:3], old.descriptors())
    np.testing.assert_allclose(joined.descriptors()[3:], new.descriptors(), atol=0.02)


def test_add_refuses_known_names_unless_told_to_replace():
    old, new = make(["a", "b"], np.eye(2, 4)), make(["b", "c"], np.eye(2, 4)[::-1].copy())
    with pytest.raises(
        IndexFormatError, match=r"1 of these photos are in the index already; found 'b'; replace them"
    ):
        join_indices([old, new])
    joined = join_indices([old, new], replace_names=True)
    assert [entry.name for entry in joined.entries] == ["a", "b", "c"]
    np.testing.assert_array_equal(joined.vectors[1], new.vectors[0])


def test_add_of_another_model_is_refused():
    old = make(["a"], np.eye(1, 4))
    other = PlaceIndex(old.vectors, None, None, (Entry("b"),), bytes(32))
    with pytest.raises(IndexFormatError, match="another model than the photos to add"):
        join_indices([old, other])
    with pytest.raises(IndexFormatError, match="dimensions differ; found 5; allowed: 4"):
        join_indices([old, make(["b"], np.eye(1, 5))])


def test_add_to_a_file_that_is_open(photos, tmp_path):
    path = tmp_path / "a.pvix"
    write_index(path, build_index(describe, photos[:4], FINGERPRINT)[0])
    added, _ = build_index(describe, photos[4:], FINGERPRINT, dtype="float32")
    write_index(path, join_indices([open_index(path), added]), force=True)
    whole, _ = build_index(describe, photos, FINGERPRINT)
    opened = open_index(path)
    assert tuple(opened.entries) == whole.entries and opened.threshold == pytest.approx(
        whole.threshold, abs=1e-3
    )


def on_circle(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def test_threshold_by_hand():
    """Two places 40 degrees apart, views 10 apart: accept cos 10, refuse cos 30, so half way between."""
    index = make(list("abcd"), on_circle(0, 10, 40, 50), ["p", "p", "q", "q"])
    middle = (np.cos(np.radians(10)) + np.cos(np.radians(30))) / 2
    assert suggest_threshold(index) == pytest.approx(middle, abs=1e-6)


def test_threshold_weighs_places_that_overlap():
    """The stray view of p lies nearer to q: accepting it would accept q's strangers as well."""
    index = make(list("abcde"), on_circle(0, 2, 30, 33, 35), ["p", "p", "p", "q", "q"])
    threshold = suggest_threshold(index)
    # Known: cos 2, 2, 28, 2, 2. Unknown: cos 33, 31, 3, 3, 5. Best: 4 of 5 accepted and 5 of 5 refused.
    assert np.cos(np.radians(3)) < threshold < np.cos(np.radians(2))


def test_threshold_knows_that_a_photo_shows_two_places():
    """b is of p and of q: as near to a as to c, it is right for both and a stranger to neither."""
    vectors, labels = on_circle(0, 10, 20, 60, 70), ["p", "p | q", "q", "r", "r"]
    degrees = np.array([0, 10, 20, 60, 70])
    places = [set(label.split(" | ")) for label in labels]
    cosine = np.cos(np.radians(degrees[:, None] - degrees[None]))
    same = np.array([[bool(mine & theirs) for theirs in places] for mine in places])
    known = [max(cosine[i, j] for j in range(5) if same[i, j] and j != i) for i in range(5)]
    unknown = [max(cosine[i, j] for j in range(5) if not same[i, j]) for i in range(5)]
    cosines = np.unique([*known, *unknown])
    candidates = [cosines[0], *((cosines[1:] + cosines[:-1]) / 2)]
    rates = [np.mean(np.array(known) >= t) + np.mean(np.array(unknown) < t) for t in candidates]
    want = candidates[int(np.argmax(rates))]
    assert suggest_threshold(make(list("abcde"), vectors, labels)) == pytest.approx(want, abs=1e-6)
    assert np.cos(np.radians(20)) < want < np.cos(np.radians(10))


@pytest.mark.parametrize("labels", [["p", "q", "r"], ["p", "p", "p"], ["", "", ""], ["p", "", ""]])
def test_no_threshold_without_a_pair_and_a_stranger(labels):
    assert suggest_threshold(make(list("abc"), on_circle(0, 10, 20), labels)) is None


def test_threshold_of_a_large_index_asks_some_of_its_photos():
    rng = np.random.default_rng(0)
    places = rng.standard_normal((1500, 16)).astype(np.float32)
    views = np.repeat(places, 3, 0) + 0.05 * rng.standard_normal((4500, 16)).astype(np.float32)
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    index = make([str(i) for i in range(4500)], views, [str(i // 3) for i in range(4500)])
    rows, cosines = search_index(index, views, 2)
    same = np.asarray(rows[:, 1]) // 3 == np.arange(4500) // 3
    threshold = suggest_threshold(index)
    assert threshold is not None and (cosines[same, 1] >= threshold).mean() > 0.95


def test_names_and_labels_that_no_index_holds_are_said_before_a_photo_is_described(photos):
    def never(path):
        raise AssertionError(path)

    for wrong, said in (
        (replace(photos[0], name="n" * 5000), "the name of photo .*0.jpg is too long.*found 5,000 bytes"),
        (replace(photos[0], place="é" * 2100), "the label of photo .*found 4,200 bytes; allowed: 4,096 or"),
        (replace(photos[0], also=tuple(map(str, range(1500)))), "the label of photo .*is too long"),
    ):
        with pytest.raises(IndexFormatError, match=said):
            build_index(never, [wrong, *photos[1:]], FINGERPRINT)
    alike = [replace(photo, name=f"1{letter}.jpg") for photo, letter in zip(photos, "\x01\x02", strict=False)]
    with pytest.raises(IndexFormatError, match="would name two photos 1\ufffd.jpg; .*x01.jpg.*rename one"):
        build_index(never, alike, FINGERPRINT)


def by_comparing_all(some, every):
    return np.array([[bool(set(one) & set(other) - {0}) for other in every] for one in some])


def test_rows_share_a_place_as_their_sets_do():
    rng = np.random.default_rng(0)
    for count, most, places in ((1, 1, 2), (40, 1, 5), (60, 4, 9), (30, 9, 40)):
        numbers = rng.integers(-places, places, (count, most))
        some = numbers[: count // 2 + 1]
        found = build._share_a_place(some, *build._by_place(numbers), count)
        assert np.array_equal(found, by_comparing_all(some, numbers))
    assert not build._share_a_place(np.zeros((2, 3), int), *build._by_place(np.zeros((4, 3), int)), 4).any()


def test_one_photo_of_very_many_places_costs_little():
    """A second at most; each of its places with each of the others', of 128 judges, took minutes."""
    rng = np.random.default_rng(0)
    views = rng.standard_normal((500, 8)).astype(np.float32)
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    labels = [" | ".join(map(str, range(1200))), *(str(row // 2) for row in range(1, 500))]
    started = time.process_time()
    assert suggest_threshold(make([str(row) for row in range(500)], views, labels)) is not None
    assert time.process_time() - started < 5

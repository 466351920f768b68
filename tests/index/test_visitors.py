"""Who is left out of the index to play the visitor, and whether what it finds is right."""

from pathlib import Path

import numpy as np
import pytest

from helpers.photos import write_photo
from pocketvlad.dataset import Dataset, Photo, Query, open_dataset
from pocketvlad.errors import DatasetError
from pocketvlad.index import Entry, PlaceIndex, Visit, examples, split_visitors, visits


def names(dataset):
    return [photo.name for photo in dataset.photos]


def index_of(dataset):
    entries = tuple(Entry(photo.name) for photo in dataset.photos)
    return PlaceIndex(np.eye(len(entries), 6, dtype=np.float32) + 1, None, None, entries, bytes(32))


def answered(kept, rows, dataset):
    """Whether visitors whose best matches are these rows are answered rightly."""
    return [visit.right for visit in visits(index_of(kept), np.eye(6, dtype=np.float32)[rows], dataset)]


def test_without_roles_the_first_of_each_place_visits(tmp_path):
    for name in ("a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png", "c/1.png"):
        write_photo(tmp_path / name)
    dataset = open_dataset(str(tmp_path))
    kept, visitors = split_visitors(dataset)
    assert names(visitors) == ["a/1.png", "b/1.png"]
    assert names(kept) == ["a/2.png", "a/3.png", "b/2.png", "c/1.png"]
    assert answered(kept, [1, 0], dataset) == [True, False]


def test_examples_are_visitors_that_are_named(tmp_path):
    for place in "abcdefgh":
        for view in (1, 2):
            write_photo(tmp_path / f"{place}/{view}.png")
    _, visitors = split_visitors(open_dataset(str(tmp_path)))
    cosines, right = [0.9, 0.2, 0.8, 0.7, 0.6, 0.9, 0.5, 0.4], [1, 1, 0, 1, 1, 1, 1, 1]
    found = [Visit(*each, None) for each in zip(cosines, map(bool, right), strict=True)]

    def shown(threshold, found=found):
        return "".join(path.parent.name for path in examples(visitors, found, threshold, 3))

    assert shown(0.3) == "aeg" and shown(None) == "adf" and shown(0.85) == "af"
    assert shown(0.95) == "ace"  # none is named: any of them


def test_with_roles_queries_visit_and_the_map_stays_whole(tmp_path):
    rows = [
        "q1.png,a,query",
        "q2.png,a,query",
        "g.png,a,good",
        "j.png,a,junk",
        "q3.png,b,query",
        "h.png,b,ok",
    ]
    (tmp_path / "manifest.csv").write_text("\n".join(["image,place,role", *rows, "h.png,c,good"]))
    for row in rows:
        write_photo(tmp_path / row.split(",")[0])
    dataset = open_dataset(str(tmp_path))
    kept, visitors = split_visitors(dataset)
    assert names(kept) == ["g.png", "h.png"] and names(visitors) == ["q1.png", "q3.png"]
    assert answered(kept, [0, 1], dataset) == [True, True]
    assert answered(kept, [1, 0], dataset) == [False, False]


def test_positions_say_who_is_right_where_there_are_no_labels(tmp_path):
    """The query without a positive visits nothing; two queries of one spot are one visit."""
    at = {"database": (500000, 500300), "queries": (500001, 500002, 500301, 900000)}
    for side, easts in at.items():
        for east in easts:
            write_photo(tmp_path / side / f"@{east}@4000000@.jpg")
    dataset = open_dataset(f"utm:{tmp_path}")
    kept, visitors = split_visitors(dataset)
    assert [photo.utm[0] for photo in kept.photos] == [500000, 500300]
    assert [photo.utm[0] for photo in visitors.photos] == [500001, 500301]
    assert answered(kept, [0, 1], dataset) == [True, True]
    assert answered(kept, [1, 1], dataset) == [False, True]


def test_one_folder_of_positions_keeps_a_photo_for_every_visitor(tmp_path):
    for east in (500000, 500010, 500020, 500030, 500300, 500310):
        write_photo(tmp_path / f"@{east}@4000000@.jpg")
    dataset = open_dataset(f"utm:{tmp_path}")
    kept, visitors = split_visitors(dataset)
    assert [photo.utm[0] for photo in visitors.photos] == [500000, 500300]
    assert [photo.utm[0] for photo in kept.photos] == [500010, 500020, 500030, 500310]


def test_the_photo_a_crop_is_cut_from_is_not_what_it_finds():
    """Oxford: the map would answer with the visitor's own file."""
    whole, other = (Photo(Path(f"{name}.jpg"), name, "landmark") for name in ("whole", "other"))
    crop = Photo(whole.path, "crop", "landmark", box=(0, 0, 2, 2))
    dataset = Dataset("oxford", (whole, other, crop), (Query(2, frozenset({0, 1})),), (0, 1))
    kept, visitors = split_visitors(dataset)
    assert names(kept) == ["other"] and names(visitors) == ["crop"]


def test_queries_alone_make_no_index():
    dataset = Dataset("asked", (Photo(Path("q.jpg"), "q", "a"),), (), ())
    with pytest.raises(DatasetError, match="dataset asked has no photo of a map"):
        split_visitors(dataset)


def test_a_visit_says_what_it_would_find_if_its_place_were_unknown(tmp_path):
    for name in ("a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png"):
        write_photo(tmp_path / name)
    dataset = open_dataset(str(tmp_path))
    kept, _ = split_visitors(dataset)
    vectors = np.array([[0.6, 0.8], [1, 0], [0, 1]], np.float32)  # a/2, a/3, b/2
    index = PlaceIndex(vectors, None, None, tuple(Entry(name) for name in names(kept)), bytes(32))
    first, second = visits(index, np.array([[1, 0], [0.8, 0.6]], np.float32), dataset)
    assert (first.cosine, first.right, first.elsewhere) == (1, True, 0)
    assert (second.right, second.cosine, second.elsewhere) == (
        False,
        pytest.approx(0.96),
        pytest.approx(0.96),
    )


def test_an_index_of_one_place_has_nothing_elsewhere(tmp_path):
    for name in ("a/1.png", "a/2.png"):
        write_photo(tmp_path / name)
    dataset = open_dataset(str(tmp_path))
    (visit,) = visits(index_of(split_visitors(dataset)[0]), np.ones((1, 6), np.float32), dataset)
    assert visit.right and visit.elsewhere is None

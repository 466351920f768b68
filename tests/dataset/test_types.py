"""Subsets, splits and merges keep every query's own photos."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketvlad.dataset import Dataset, Photo, Query, merge
from pocketvlad.errors import DatasetError


def collection(places, name="set", metric="map"):
    """A photo per entry; each asks for the others of its place."""
    photos = tuple(Photo(Path(f"{i}.jpg"), f"{i}.jpg", place) for i, place in enumerate(places))
    queries = []
    for i, place in enumerate(places):
        others = frozenset(j for j, other in enumerate(places) if other == place and j != i)
        if others or metric == "recall":
            queries.append(Query(i, others, frozenset({i})))
    variants = {"hard": tuple(queries[:1])}
    return Dataset(name, photos, tuple(queries), tuple(range(len(photos))), metric, ("one line",), variants)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12), st.data())
def test_a_subset_keeps_names_and_ground_truth(places, data):
    whole = collection(places)
    kept = data.draw(st.sets(st.integers(0, len(places) - 1)))
    part = whole.subset(kept)
    assert [photo.name for photo in part.photos] == [f"{i}.jpg" for i in sorted(kept)]

    def by_name(dataset):
        name = [photo.name for photo in dataset.photos]
        return {name[q.photo]: {name[i] for i in q.positives} for q in dataset.queries}

    alive = {photo.name for photo in part.photos}
    expected = {q: found & alive for q, found in by_name(whole).items() if q in alive and found & alive}
    assert by_name(part) == expected
    assert [part.photos[i].name for i in part.database] == [photo.name for photo in part.photos]
    assert part.skipped == whole.skipped


def test_queries_without_positives_stay_where_they_count_as_missed():
    part = collection("aab", metric="recall").subset([0, 2])
    assert [query.positives for query in part.queries] == [frozenset(), frozenset()]


def test_even_and_odd_places_are_halves_without_overlap():
    whole = collection(list("ddaabbcc"))
    even, odd = whole.split("even"), whole.split("odd")
    assert (even.places(), odd.places()) == (["a", "c"], ["b", "d"])
    assert {photo.name for photo in even.photos} | {photo.name for photo in odd.photos} == {
        photo.name for photo in whole.photos
    }
    assert whole.split("all") is whole
    assert whole.subset_places(lambda rank, label: label == "c").places() == ["c"]
    assert len(even.queries) == 4 and all(len(query.positives) == 1 for query in even.queries)
    assert whole.subset([2, 3]).variants == {"hard": ()}


def test_what_cannot_be_split_is_said():
    with pytest.raises(DatasetError, match="unknown split; found 'third'; allowed: even, odd, all"):
        collection("aab").split("third")
    with pytest.raises(DatasetError, match="cannot be split by place"):
        collection([None, None]).split("even")
    with pytest.raises(DatasetError, match=r"no place .* is kept; found 1 places"):
        collection("aa").split("odd")


def mixed():
    """Map photos 0 and 1 (of two places), junk 2, and query 3 outside the database."""
    photos = (
        Photo(Path("0.jpg"), "0.jpg", "a"),
        Photo(Path("1.jpg"), "1.jpg", "a", also=("b",)),
        Photo(Path("2.jpg"), "2.jpg", "a", junk=True),
        Photo(Path("3.jpg"), "3.jpg", "a"),
    )
    return Dataset("set", photos, (Query(3, frozenset({0, 1}), frozenset({2, 3})),), (0, 1, 2))


def test_a_map_is_the_database_without_junk():
    whole = mixed()
    assert whole.mapped_photos() == [0, 1]
    assert [photo.labels for photo in whole.photos] == [("a",), ("a", "b"), (), ("a",)]
    part = whole.mapped()
    assert [photo.name for photo in part.photos] == ["0.jpg", "1.jpg"] and part.database == (0, 1)
    assert not part.queries


@pytest.mark.parametrize("kept", [[3], [2, 3]])
def test_without_a_map_it_says_so(kept):
    with pytest.raises(
        DatasetError, match="has no photo of a map; found . photos, all of them queries or junk"
    ):
        mixed().subset(kept).mapped()


def test_subsets_and_merges_keep_queries_out_of_the_database():
    part = mixed().subset([1, 2, 3])
    assert part.database == (0, 1) and part.queries == (Query(2, frozenset({0}), frozenset({1, 2})),)
    both = merge([mixed(), mixed()])
    assert both.database == (0, 1, 2, 4, 5, 6) and both.mapped_photos() == [0, 1, 4, 5]
    assert both.photos[5].labels == ("set-2/a", "set-2/b") and both.photos[6].junk
    assert mixed().split("even").database == (0, 1, 2)


def test_a_merge_searches_everything_and_keeps_places_apart():
    left, right = collection("aab", "/x/left"), collection("abb", "/y/right")
    both = merge([left, right])
    assert [photo.name for photo in both.photos][2:4] == ["left/2.jpg", "right/0.jpg"]
    assert both.places() == ["left/a", "left/b", "right/a", "right/b"]
    assert both.queries[-1] == Query(5, frozenset({4}), frozenset({5}))
    assert both.database == tuple(range(6)) and both.skipped == ("one line",) * 2
    assert len({photo.name for photo in merge([left, collection("cc", "/z/left")]).photos}) == 5
    assert merge([left, collection("cc", "/z/left")]).places() == ["a", "b", "c"]
    assert merge([left]) is left


def test_protocols_do_not_mix():
    with pytest.raises(DatasetError, match="different protocols cannot be merged; found map, recall"):
        merge([collection("aa"), collection("aa", metric="recall")])
    with pytest.raises(DatasetError, match="found none"):
        merge([])


def test_photos_of_a_large_collection_are_spread_by_whole_places_or_within_few():
    def collected(places: int, each: int) -> Dataset:
        photos = tuple(Photo(Path(f"/{n}.jpg"), f"{n}.jpg", f"{n // each:04}") for n in range(places * each))
        return Dataset("x", photos, (), tuple(range(len(photos))))

    few = collected(3, 100)
    assert few.spread(300) is few
    thinned = few.spread(60)
    assert len(thinned.photos) == 60 and len(thinned.places()) == 3 and thinned.photos[1].name == "5.jpg"
    assert thinned.skipped == ("60 of 300 photos are used, evenly spread",)
    whole = collected(1000, 4).spread(450)
    assert len(whole.photos) == 448 and len(whole.places()) == 112
    assert [photo.name for photo in whole.photos[:5]] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "36.jpg"]
    plain = replace(few, photos=tuple(replace(photo, place=None) for photo in few.photos)).spread(100)
    assert [photo.name for photo in plain.photos[:2]] == ["0.jpg", "3.jpg"] and len(plain.photos) == 100

"""Folders in folders: read where they say one thing, refused where they say two."""

import pytest

from pocketvlad.dataset import open_dataset
from pocketvlad.errors import DatasetError


def write(photo, root, *names):
    for name in names:
        photo(root / name)
    return str(root)


@pytest.mark.parametrize("sides", [("database", "queries"), ("ref", "query"), ("Map", "Query")])
def test_a_map_and_queries_side_by_side_are_roles(tmp_path, photo, sides):
    """The places are below the two sides: a query of hall finds the map's hall and no other query."""
    names = [f"{side}/{place}/{i}.jpg" for side in sides for place in ("hall", "east/gate") for i in range(2)]
    dataset = open_dataset(write(photo, tmp_path, *names))
    name = [photo.name for photo in dataset.photos]
    assert dataset.places() == ["east/gate", "hall"]
    assert sorted(name[i] for i in dataset.database) == sorted(n for n in names if n.startswith(sides[0]))
    truth = {name[query.photo]: sorted(name[i] for i in query.positives) for query in dataset.queries}
    assert truth == {
        f"{sides[1]}/{place}/{i}.jpg": [f"{sides[0]}/{place}/{j}.jpg" for j in range(2)]
        for place in ("hall", "east/gate")
        for i in range(2)
    }


@pytest.mark.parametrize(
    "names, message",
    [
        (["query/1.jpg", "ref/1.jpg"], "a map and queries, but no place for each photo; found query/1.jpg"),
        (
            ["database/a/1.jpg", "queries/a/1.jpg", "more/a/1.jpg"],
            "no place for each photo; found more/a/1.jpg",
        ),
        (["a/day/1.jpg", "a/night/1.jpg"], "which folders are its places; found a/day and a/night"),
        (["day/a/1.jpg", "night/b/1.jpg"], "which folders are its places; found day/a and night/b"),
        (["Day/1.jpg", "Night/1.jpg"], "which folders are its places; found Day and Night"),
        (["a/june/1.jpg", "b/june/1.jpg"], "which folders are its places; found a/june and b/june"),
        (["a/1.jpg", "a/more/2.jpg"], "which folders are its places; found a and a/more"),
        (["map/a/day/1.jpg", "query/a/night/1.jpg"], "which folders are its places; found a/day and a/night"),
    ],
)
def test_what_could_be_two_things_is_refused(tmp_path, photo, names, message):
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset(write(photo, tmp_path, *names))
    assert "manifest.csv" in str(error.value) and "\n" not in str(error.value)


def test_nested_places_of_different_names_and_a_place_called_day(tmp_path, photo):
    nested = open_dataset(write(photo, tmp_path / "x", "york/mill/1.jpg", "bath/quay/1.jpg", "loose.jpg"))
    assert nested.places() == ["bath/quay", "loose", "york/mill"]
    assert open_dataset(write(photo, tmp_path / "y", "Day/1.jpg", "Smith/1.jpg")).places() == ["Day", "Smith"]

"""Plain folders and manifests: who asks, what counts, and every way to get it wrong."""

import tracemalloc
from pathlib import Path

import pytest

from pocketvlad.dataset import open_dataset
from pocketvlad.errors import DatasetError

DATA = Path(__file__).parents[2] / "../shared/data"


def names(dataset, indices):
    return sorted(dataset.photos[i].name for i in indices)


def truth(dataset):
    """{query name: (positive names, junk names)}"""
    return {
        dataset.photos[query.photo].name: (names(dataset, query.positives), names(dataset, query.junk))
        for query in dataset.queries
    }


@pytest.fixture
def manifest(tmp_path, photo):
    """Writes the lines as manifest.csv and a photo for each image they name; returns the folder."""

    def write(*lines, header="image,place,role", images="images"):
        (tmp_path / "manifest.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        for line in lines:
            if line.split(",")[0]:
                photo(tmp_path / images / line.split(",")[0])
        return tmp_path

    return write


def test_a_sub_folder_per_place(tmp_path, photo):
    for name in ("church/a.jpg", "church/b.png", "church/c.JPG", "tower/x.jpg", "gate/y.webp", "gate/z.jpg"):
        photo(tmp_path / name)
    photo(tmp_path / ".thumbnails/t.jpg")
    (tmp_path / "church/notes.txt").write_text("not a photo")
    dataset = open_dataset(str(tmp_path))
    assert [photo.name for photo in dataset.photos] == [
        "church/a.jpg",
        "church/b.png",
        "church/c.JPG",
        "gate/y.webp",
        "gate/z.jpg",
        "tower/x.jpg",
    ]
    found = truth(dataset)
    assert found["church/a.jpg"] == (["church/b.png", "church/c.JPG"], ["church/a.jpg"])
    assert found["gate/z.jpg"] == (["gate/y.webp"], ["gate/z.jpg"])
    assert dataset.places() == ["church", "gate", "tower"] and dataset.metric == "map"


def test_a_place_with_one_photo_is_searched_counted_and_named(tmp_path, photo):
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg", "c/1.jpg", "loose.jpg", "other.jpg"):
        photo(tmp_path / name)
    dataset = open_dataset(f"folder:{tmp_path}")
    assert len(dataset.queries) == 2 and len(dataset.database) == 6
    assert dataset.skipped == ("4 places with one photo: searched, but asks nothing (b, c, loose, …)",)


def test_roles(manifest):
    dataset = open_dataset(
        str(
            manifest(
                "q.jpg,church,query",
                "g.jpg,church,good",
                "o.jpg,church,ok",
                "j.jpg,church,junk",
                "j.jpg,tower,good",
                "t.jpg,tower,query",
                "q2.jpg,church,query",
                "plain.jpg,tower,",
            )
        )
    )
    assert truth(dataset) == {
        "q.jpg": (["g.jpg", "o.jpg"], ["j.jpg", "q.jpg", "q2.jpg"]),
        "q2.jpg": (["g.jpg", "o.jpg"], ["j.jpg", "q.jpg", "q2.jpg"]),
        "t.jpg": (["j.jpg", "plain.jpg"], ["t.jpg"]),
    }
    assert names(dataset, range(7)) == sorted([*names(dataset, dataset.database), "q.jpg", "q2.jpg", "t.jpg"])
    assert names(dataset, dataset.mapped_photos()) == ["g.jpg", "j.jpg", "o.jpg", "plain.jpg"]
    assert {photo.name: photo.labels for photo in dataset.photos}["j.jpg"] == ("tower",)


def test_a_query_that_plays_another_part_too_is_in_the_database(manifest):
    """c asks for church and is good for tower; d asks and is junk: searched, but on no map."""
    lines = ("c.jpg,church,query", "c.jpg,tower,good", "d.jpg,church,query", "d.jpg,tower,junk")
    dataset = open_dataset(str(manifest(*lines, "g.jpg,church,good", "t.jpg,tower,query")))
    assert names(dataset, dataset.database) == ["c.jpg", "d.jpg", "g.jpg"]
    assert names(dataset, dataset.mapped_photos()) == ["c.jpg", "g.jpg"]
    assert truth(dataset) == {
        "c.jpg": (["g.jpg"], ["c.jpg", "d.jpg"]),
        "d.jpg": (["g.jpg"], ["c.jpg", "d.jpg"]),
        "t.jpg": (["c.jpg"], ["d.jpg", "t.jpg"]),
    }
    labels = {photo.name: photo.labels for photo in dataset.photos}
    assert labels["c.jpg"] == ("church", "tower") and labels["d.jpg"] == ()


def test_a_photo_of_two_places_asks_and_answers_for_both(manifest):
    lines = ("q.jpg,hall,query", "q.jpg,stairs,query", "both.jpg,hall,good", "both.jpg,stairs,good")
    more = ("h.jpg,hall,good", "s.jpg,stairs,ok", "s.jpg,hall,junk", "r.jpg,stairs,query")
    dataset = open_dataset(str(manifest(*lines, *more)))
    assert truth(dataset) == {
        "q.jpg": (["both.jpg", "h.jpg", "s.jpg"], ["q.jpg", "r.jpg"]),
        "r.jpg": (["both.jpg", "s.jpg"], ["q.jpg", "r.jpg"]),
    }
    assert {photo.name: photo.labels for photo in dataset.photos}["both.jpg"] == ("hall", "stairs")


def test_a_manifest_of_queries_alone_has_no_map(manifest):
    dataset = open_dataset(str(manifest("a.jpg,x,query", "b.jpg,x,query")))
    assert dataset.database == () and not dataset.queries
    with pytest.raises(DatasetError, match="no photo of a map; found 2 photos, all of them queries or junk"):
        dataset.mapped()


def test_a_query_without_positives_is_left_out_and_named(manifest):
    dataset = open_dataset(str(manifest("q.jpg,church,query", "t.jpg,tower,query", "u.jpg,tower,good")))
    assert list(truth(dataset)) == ["t.jpg"]
    assert dataset.skipped == ("1 place with a query but no good or ok photo: left out (church)",)


def test_a_manifest_without_roles(manifest):
    lines = ("a.jpg,1", "b.jpg,1", "b.jpg,2", "c.jpg,2", "d.jpg,3")
    dataset = open_dataset(str(manifest(*lines, header="image,place")))
    assert truth(dataset) == {
        "a.jpg": (["b.jpg"], ["a.jpg"]),
        "b.jpg": (["a.jpg", "c.jpg"], ["b.jpg"]),
        "c.jpg": (["b.jpg"], ["c.jpg"]),
    }


def test_images_beside_the_manifest_and_the_manifest_itself(manifest):
    root = manifest("a.jpg,x", "sub/b.jpg,x", header="image,place", images=".")
    for spec in (root, root / "manifest.csv"):
        dataset = open_dataset(f"folder:{spec}")
        assert [photo.path for photo in dataset.photos] == [root / "a.jpg", root / "sub/b.jpg"]


def test_positions(manifest):
    root = manifest("a.jpg,x,59.5,-18.25", "b.jpg,x,,", header="image,place,latitude,longitude")
    first, second = open_dataset(str(root)).photos
    assert (first.latitude, first.longitude) == (59.5, -18.25)
    assert (second.latitude, second.longitude) == (None, None)


@pytest.mark.parametrize(
    "lines, header, message",
    [
        (
            ["a.jpg,x,best"],
            "image,place,role",
            r"line 2: unknown role; found 'best'; allowed: query, good, ok, junk",
        ),
        (["a.jpg,x", "a.jpg,x"], "image,place", r"two rows for a.jpg and place x"),
        (["a.jpg,"], "image,place", r"line 2: image and place are needed; found 'a.jpg', ''"),
        (["a.jpg"], "image,place", r"line 2: image and place are needed"),
        (["a.jpg,x"], "file,label", r"lacks a column; found file, label; allowed: image, place"),
        ([], "image,place", r"holds no photo; allowed: a sub-folder of photos per place"),
        (["a.jpg,x,95,0"], "image,place,latitude,longitude", r"latitude is out of range; found 95"),
        (["a.jpg,x,5,east"], "image,place,latitude,longitude", r"longitude is not a number; found 'east'"),
        (["a.jpg,x,5,"], "image,place,latitude,longitude", r"line 2: latitude and longitude go together"),
        (["a.jpg,x,nan,0"], "image,place,latitude,longitude", r"latitude is out of range"),
    ],
)
def test_a_manifest_that_breaks_a_rule_is_one_clear_line(manifest, lines, header, message):
    root = manifest(*lines, header=header)
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset(str(root))
    assert "\n" not in str(error.value) and str(root) in str(error.value)


def test_missing_images_are_counted_and_the_first_named(manifest):
    root = manifest("a.jpg,x", "b.jpg,x", "c.jpg,x", header="image,place")
    (root / "images/b.jpg").unlink()
    (root / "images/c.jpg").unlink()
    with pytest.raises(DatasetError, match=r"lacks 2 of its 3 photos; found no .*images/b.jpg") as error:
        open_dataset(str(root))
    assert str(error.value).endswith(f"allowed: photos in {root} or {root / 'images'}")


def test_an_empty_manifest_and_one_that_is_no_text(tmp_path):
    (tmp_path / "manifest.csv").write_bytes(b"")
    with pytest.raises(DatasetError, match="lacks a column; found an empty file"):
        open_dataset(str(tmp_path))
    (tmp_path / "manifest.csv").write_bytes(b"image,place\n\xff\xfe\x00a,b\n")
    with pytest.raises(DatasetError, match="is not a CSV file in UTF-8"):
        open_dataset(str(tmp_path))


@pytest.mark.parametrize(
    "spec, message",
    [
        ("folder:{}/none", "none does not exist"),
        ("{}/none", "none does not exist"),
        ("", "does not exist"),
        ("zip:{}", r"unknown dataset kind 'zip'; allowed: folder:PATH, oxford:PATH"),
        ("{}", "holds no photo"),
        ("utm:{}", "holds no photo"),
        ("oxford:{}", "holds no ground truth"),
        ("pitts:{}", r"which geometry to use; found 0 .mat files"),
        ("revisited:{}", r"which ground truth to use; found 0 files"),
    ],
)
def test_what_is_not_there_is_said(tmp_path, spec, message):
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset(spec.format(tmp_path))
    assert "\n" not in str(error.value)


def test_a_path_may_hold_a_colon(tmp_path, photo):
    photo(tmp_path / "2024:05/a/1.jpg")
    assert len(open_dataset(str(tmp_path / "2024:05")).photos) == 1


def test_the_real_photos():
    if not DATA.is_dir():
        pytest.skip(f"the real photos are not here: {DATA.name}")
    outdoor, indoor = (open_dataset(f"folder:{DATA / name}") for name in ("places_outdoor", "places_indoor"))
    assert (len(outdoor.photos), len(outdoor.queries), len(outdoor.places())) == (112, 112, 31)
    assert (len(indoor.photos), len(indoor.queries), len(indoor.database)) == (504, 56, 448)
    assert len(indoor.mapped_photos()) == 224
    assert all(len(query.positives) == 4 and len(query.junk) == 5 for query in indoor.queries)


@pytest.mark.parametrize("roles", [False, True])
def test_a_ground_truth_takes_memory_by_the_place(tmp_path, roles):
    """3,000 photos, 1,500 of a place: each photo's own list of the others would be 300 MB."""
    count = 3000
    rows = [f"{n}.jpg,place {n % 2}{',query' if roles and n % 4 < 2 else ','}" for n in range(count)]
    for number in range(count):
        (tmp_path / f"{number}.jpg").touch()
    (tmp_path / "manifest.csv").write_text("image,place,role\n" + "\n".join(rows) + "\n")
    tracemalloc.start()
    found = open_dataset(f"folder:{tmp_path}")
    half = found.subset(range(0, count, 3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30_000_000, peak
    others = {n for n in range(0, count, 2) if not roles or n % 4 >= 2} - {0}
    assert found.queries[0].positives == others and found.queries[0].junk == (
        {*range(0, count, 4)} if roles else {0}
    )
    assert half.queries[0].positives == {n // 3 for n in others if n % 3 == 0}

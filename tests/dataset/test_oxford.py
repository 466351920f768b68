"""Oxford5k / Paris6k, classic: text files, boxes, and the query that stays in the database."""

import numpy as np
import pytest

from pocketvlad.compress.train.triplets import mine
from pocketvlad.dataset import open_dataset
from pocketvlad.dataset.region import load_region
from pocketvlad.errors import DatasetError


@pytest.fixture
def oxford(tmp_path, photo):
    """Two landmarks, three queries; Oxford's prefix in one, Paris' sub-folders in the other."""
    for i in range(4):
        photo(tmp_path / f"images/all_souls_00000{i}.jpg")
        photo(tmp_path / f"paris/louvre/paris_louvre_00000{i}.jpg")
    truth = tmp_path / "groundtruth"
    truth.mkdir()

    def lists(name, query, good="", ok="", junk=""):
        for role, text in {"query": query, "good": good, "ok": ok, "junk": junk}.items():
            (truth / f"{name}_{role}.txt").write_text("\n".join(text.split(",")) if role != "query" else text)

    lists(
        "all_souls_1",
        "oxc1_all_souls_000000 0.4 0.0 2.6 3.0\n",
        "all_souls_000000,all_souls_000001",
        "all_souls_000002",
        "all_souls_000003",
    )
    lists("louvre_1", "paris_louvre_000001 1 0 4 3", ok="paris_louvre_000000", junk="paris_louvre_999999")
    lists("louvre_2", "paris_louvre_000002 1 0 4 3")
    return tmp_path


def test_full_images(oxford):
    dataset = open_dataset(f"oxford-full:{oxford}")
    name = [photo.name for photo in dataset.photos]
    assert len(dataset.photos) == len(dataset.database) == 8 and dataset.metric == "map"
    first, second = dataset.queries
    assert name[first.photo] == "all_souls_000000"
    assert {name[i] for i in first.positives} == {
        "all_souls_000001",
        "all_souls_000002",
    }  # not the query itself
    assert {name[i] for i in first.junk} == {"all_souls_000000", "all_souls_000003"}
    assert (name[second.photo], second.junk) == ("paris_louvre_000001", {second.photo})
    assert dataset.skipped == ("query louvre_2 has no positive: left out",)
    assert dataset.places() == ["all_souls", "louvre"]
    assert dataset.protocol == "query is the full image, itself left out"


@pytest.mark.parametrize("kind", ["oxford", "oxford-full", "paris", "paris-full"])
def test_a_query_is_never_its_own_positive_and_mining_never_takes_it(oxford, kind):
    dataset = open_dataset(f"{kind}:{oxford}")
    cache = np.eye(len(dataset.photos), dtype=np.float32)  # the query itself is the nearest, if it may be
    for query in dataset.queries:
        assert query.photo not in query.positives
        database = np.asarray(dataset.database)
        mined = mine(query, cache, database, 5, 0.1, np.random.default_rng(0))
        assert mined.positive != query.photo and query.photo not in mined.negatives


def test_a_full_query_whose_only_positive_is_itself_is_left_out(oxford):
    (oxford / "groundtruth/louvre_1_ok.txt").write_text("paris_louvre_000001")
    assert len(open_dataset(f"oxford-full:{oxford}").queries) == 1
    assert (
        len(open_dataset(f"oxford:{oxford}").queries) == 2
    )  # the cropped one may find the photo it is cut from


def test_maps_hold_neither_crops_nor_junk_and_landmarks_share_photos(oxford):
    (oxford / "groundtruth/louvre_1_good.txt").write_text("all_souls_000001")
    dataset = open_dataset(f"oxford:{oxford}")
    found = {photo.name: photo.labels for photo in dataset.mapped().photos}
    assert found["all_souls_000001"] == ("all_souls", "louvre")
    assert found["paris_louvre_000003"] == () and len(found) == 7
    assert "all_souls_000003" not in found and not any(name.endswith("_query") for name in found)


@pytest.mark.parametrize("kind", ["oxford", "paris"])
def test_cropped_queries_are_photos_of_their_own_outside_the_database(oxford, kind):
    dataset = open_dataset(f"{kind}:{oxford}")
    assert len(dataset.photos) == 10 and dataset.database == tuple(range(8))
    asked = [dataset.photos[query.photo] for query in dataset.queries]
    assert [photo.name for photo in asked] == ["all_souls_1_query", "louvre_1_query"]
    assert asked[0].box == (0.4, 0.0, 2.6, 3.0) and load_region(asked[0]).pixels.shape == (3, 3, 3)
    assert asked[0].place == "all_souls" and dataset.protocol == "query cropped to its box"
    full = open_dataset(f"oxford-full:{oxford}")
    found, wanted = ([query.positives for query in each.queries] for each in (dataset, full))
    assert found == [wanted[0] | {0}, wanted[1]]  # the first may find the photo it is cut from


def test_halves_keep_their_cropped_queries(oxford):
    even = open_dataset(f"oxford:{oxford}").split("even")
    assert even.places() == ["all_souls"]
    assert [even.photos[query.photo].name for query in even.queries] == ["all_souls_1_query"]


@pytest.mark.parametrize(
    "file, text, message",
    [
        (
            "all_souls_1_query.txt",
            "oxc1_all_souls_000000 1 2 3",
            r"all_souls_1_query.txt is not a query; found oxc1",
        ),
        ("all_souls_1_query.txt", "", r"is not a query"),
        (
            "all_souls_1_query.txt",
            "oxc1_x 1 2 3 4",
            r"lacks 1 of the \d photos that all_souls_1_query.txt names; found no x.jpg; allowed: photos below /",
        ),
        (
            "all_souls_1_good.txt",
            "missing_1",
            r"lacks \d of the \d photos that all_souls_1_query.txt names; found no missing_1.jpg",
        ),
        ("all_souls_1_ok.txt", None, r"lacks all_souls_1_ok.txt; found all_souls_1_query.txt without it"),
    ],
)
def test_broken_ground_truth_is_one_clear_line(oxford, file, text, message):
    path = oxford / "groundtruth" / file
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset(f"oxford:{oxford}")
    assert "\n" not in str(error.value)


def test_two_photos_of_one_name_are_refused(oxford, photo):
    photo(oxford / "copy/all_souls_000001.jpg")
    with pytest.raises(DatasetError, match="two photos named all_souls_000001"):
        open_dataset(f"oxford:{oxford}")


def test_photos_and_ground_truth_behind_links(tmp_path, photo):
    """As people lay a collection out who keep the photos on another disk."""
    for stem in ("a", "b"):
        photo(tmp_path / f"disk/jpg/{stem}.jpg")
    for role, text in (("query", "a 0 0 3 3"), ("good", "b"), ("ok", ""), ("junk", "")):
        (tmp_path / "disk/gt").mkdir(exist_ok=True)
        (tmp_path / f"disk/gt/hall_1_{role}.txt").write_text(text)
    (tmp_path / "set").mkdir()
    for name in ("jpg", "gt"):
        (tmp_path / "set" / name).symlink_to(tmp_path / "disk" / name)
    (query,) = open_dataset(f"oxford:{tmp_path}/set").queries
    assert len(query.positives) == 1

"""UTM folders and dbStruct files: positions decide what counts."""

import numpy as np
import pytest

from helpers import matfiles
from pocketvlad.dataset import open_dataset
from pocketvlad.errors import DatasetError

WRITERS = {"v5": matfiles.write_v5, "v7.3": matfiles.write_v73}


def name_at(east, north, rest="@33@T@59.5@18.25@pano7@@90@@@@201105@@"):
    return f"@{east}@{north}{rest}.jpg"


@pytest.mark.parametrize("nested", ["", "images/test"])
def test_utm_folders(tmp_path, photo, nested):
    for east in (0, 25, 25.5, 600):
        photo(tmp_path / nested / "database/sub" / name_at(east, 0))
    for east in (0, 300, 610):
        photo(tmp_path / nested / "queries" / name_at(f"{east:07.2f}", 0.0, "@"))
    dataset = open_dataset(f"utm:{tmp_path}")
    assert dataset.metric == "recall" and len(dataset.database) == 4
    found = {
        dataset.photos[query.photo].utm[0]: sorted(dataset.photos[i].utm[0] for i in query.positives)
        for query in dataset.queries
    }
    assert found == {0: [0, 25], 300: [], 610: [600]}
    assert dataset.skipped == ("1 of 3 queries have no positive: counted as missed",)
    first = dataset.photos[0]
    assert (first.latitude, first.longitude, first.panorama) == (59.5, 18.25, "pano7")
    assert dataset.photos[-1].latitude is None and dataset.photos[-1].panorama is None


def test_one_utm_folder_queries_itself(tmp_path, photo):
    for north in (0, 20, 90):
        photo(tmp_path / name_at(1e5, north, "@"))
    dataset = open_dataset(f"utm:{tmp_path}")
    assert [sorted(query.positives) for query in dataset.queries] == [[1], [0], []]
    assert [sorted(query.junk) for query in dataset.queries] == [[0], [1], [2]]
    assert dataset.protocol == "Recall@N within 25 m, every photo queries the others"


def sides(photo, root, queries=("queries",)):
    """A database photo, and in each folder of queries one beside it; returns the folder."""
    photo(root / "database" / name_at(500000, 4000000))
    for number, folder in enumerate(queries):
        photo(root / folder / name_at(500000 + number, 4000000))
    return root


@pytest.mark.parametrize(
    "nested, spec",
    [
        ("images/val", ""),
        ("images/train", ""),
        ("images/test", ""),
        ("val", ""),
        ("images/val", "images"),
        ("images/val", "images/val"),
        (".", ""),
    ],
)
@pytest.mark.parametrize("folder", ["queries", "queries_v1"])
def test_published_folders_are_a_database_and_queries(tmp_path, photo, nested, spec, folder):
    sides(photo, tmp_path / nested, [folder])
    dataset = open_dataset(f"utm:{tmp_path / spec}")
    assert dataset.database == (0,) and [query.positives for query in dataset.queries] == [{0}]
    plain = (tmp_path / nested) == tmp_path / spec and folder == "queries"
    assert dataset.protocol.startswith("Recall@N within 25 m")
    assert plain or dataset.protocol.endswith(f"/{folder}"), dataset.protocol


def test_of_several_splits_the_test_is_read_and_said(tmp_path, photo):
    for split in ("train", "val", "test"):
        sides(photo, tmp_path / "images" / split)
    assert "queries of test/queries" in open_dataset(f"utm:{tmp_path}").protocol
    assert "val/queries" in open_dataset(f"utm:{tmp_path / 'images/val'}/queries").protocol


def test_several_folders_of_queries_want_one_named(tmp_path, photo, monkeypatch):
    """SF-XL: queries_v1 and queries_v2 are two protocols."""
    sides(photo, tmp_path, ["queries_v1", "queries_v2"])
    with pytest.raises(
        DatasetError, match=r"several folders of queries; found queries_v1, queries_v2; name one"
    ):
        open_dataset(f"utm:{tmp_path}")
    second = open_dataset(f"utm:{tmp_path / 'queries_v2'}")
    assert second.photos[1].utm == (500001, 4000000) and second.protocol.endswith("queries_v2")
    assert [photo.name.split("/")[0] for photo in second.photos] == ["database", "queries_v2"]
    monkeypatch.chdir(tmp_path / "queries_v2")
    assert open_dataset("utm:.").photos[1].utm == (500001, 4000000)


@pytest.mark.parametrize(
    "folders, message",
    [
        (["database"], "has a folder database but no queries"),
        (
            ["queries"],
            "what is compared with what; found a folder queries, but no folders database and queries",
        ),
        (["train", "val"], "what is compared with what; found a folder train"),
        (["a/database", "a/queries"], "what is compared with what; found a folder database"),
        (
            ["val/database", "val/queries", "train/database", "train/queries"],
            "several splits; found .*val, .*train",
        ),
    ],
)
def test_never_everything_against_everything_by_accident(tmp_path, photo, folders, message):
    for folder in folders:
        photo(tmp_path / folder / name_at(500000, 4000000))
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset(f"utm:{tmp_path}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("degrees", ["database", "queries", "both", "flat"])
def test_degrees_in_the_names_are_no_metres(tmp_path, photo, degrees):
    """45.07, 7.66 and 45.08, 7.66 are a kilometre apart, not a hundredth of a metre."""
    for side in ("database", "queries"):
        name = name_at(45.07, 7.66) if degrees in (side, "both", "flat") else name_at(395000, 4991000)
        photo(tmp_path / ("." if degrees == "flat" else side) / name)
    with pytest.raises(
        DatasetError, match=r"look like degrees, not metres; found @45.07@7.66@.*; convert latitude"
    ):
        open_dataset(f"utm:{tmp_path}")


def test_unread_kinds_are_counted_on_both_sides(tmp_path, photo):
    sides(photo, tmp_path)
    for side in ("database", "queries"):
        photo(tmp_path / side / "@500000@4000000@x@.heic")
    assert len(open_dataset(f"utm:{tmp_path}").skipped) == 2


@pytest.mark.parametrize("name", ["photo.jpg", "@12@.jpg", "@1e9@north@.jpg", "@nan@1@.jpg", "@inf@1@.jpg"])
def test_a_name_without_a_position_is_refused(tmp_path, photo, name):
    photo(tmp_path / "queries" / name_at(0, 0))
    photo(tmp_path / "database" / name)
    with pytest.raises(DatasetError, match=r"holds no position; found .*; allowed: @UTM_east@UTM_north"):
        open_dataset(f"utm:{tmp_path}")


def test_an_empty_database_is_refused(tmp_path, photo):
    photo(tmp_path / "queries" / name_at(0, 0))
    (tmp_path / "database").mkdir()
    with pytest.raises(DatasetError, match="database holds no photo"):
        open_dataset(f"utm:{tmp_path}")


def struct(**changes):
    """Two queries, three database images; Relja's names for the fields."""
    value = {
        "whichSet": "test",
        "dbImageFns": ["000/a.jpg", "000/b.jpg", "001/c.jpg"],
        "utmDb": np.array([[0.0, 24.0, 500.0], [0.0, 0.0, 0.0]]),
        "qImageFns": ["q/x.jpg", "q/y.jpg"],
        "utmQ": np.array([[1.0, 300.0], [0.0, 0.0]]),
        "numImages": np.array([[3.0]]),
        "posDistThr": np.array([[25.0]]),
        "nonTrivPosDistSqThr": np.array([[100.0]]),
    }
    return {key: item for key, item in {**value, **changes}.items() if item is not None}


@pytest.fixture
def pitts(tmp_path, photo):
    """Writes the images as the downloads lay them out and the .mat in datasets/; returns the folder."""
    for name in struct()["dbImageFns"]:
        photo(tmp_path / name)
    for name in struct()["qImageFns"]:
        photo(tmp_path / "queries_real" / name)
    (tmp_path / "datasets").mkdir()

    def write(value, version="v5", name="pitts30k_test.mat"):
        return WRITERS[version](tmp_path / "datasets" / name, {"dbStruct": value})

    return write


@pytest.mark.parametrize("version", WRITERS)
def test_dbstruct(pitts, tmp_path, version):
    file = pitts(struct(), version)
    for spec in (file, tmp_path):
        dataset = open_dataset(f"pitts:{spec}")
        assert [sorted(query.positives) for query in dataset.queries] == [[0, 1], []]
        assert [photo.name for photo in dataset.photos][2:4] == ["database/001/c.jpg", "queries/q/x.jpg"]
        assert dataset.photos[3].path == tmp_path / "queries_real/q/x.jpg"
        assert dataset.photos[1].utm == (24.0, 0.0) and dataset.photos[1].panorama is None
        assert dataset.metric == "recall" and dataset.protocol == "Recall@N within 25 m"


def test_other_names_of_the_fields_and_another_threshold(pitts):
    value = struct(posDistThr=np.array([[23.5]]))
    value["dbImage"], value["qImage"] = value.pop("dbImageFns"), value.pop("qImageFns")
    dataset = open_dataset(f"pitts:{pitts(value)}")
    assert dataset.queries[0].positives == {0, 1} and "23.5 m" in dataset.protocol


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("matrix", [False, True])
def test_names_padded_with_blanks(tmp_path, photo, write, matrix):
    """MATLAB's matrix of characters has rows of one length; cells may keep the blanks."""
    names = ["000/a.jpg", "000/bbb.jpg"]
    for name in (*names, "q.jpg"):
        photo(tmp_path / name)
    padded = [name.ljust(11) for name in names]
    letters = np.array([[ord(letter) for letter in name] for name in padded], np.uint16)
    value = struct(utmDb=np.zeros((2, 2)), utmQ=np.zeros((2, 1)), qImageFns=["q.jpg  "])
    value["dbImageFns"] = (np.array(padded) if write is matfiles.write_v5 else letters) if matrix else padded
    write(tmp_path / "x.mat", {"dbStruct": value})
    photos = open_dataset(f"pitts:{tmp_path}").photos
    assert [photo.name for photo in photos] == ["database/000/a.jpg", "database/000/bbb.jpg", "queries/q.jpg"]


def test_tokyo_has_twelve_images_a_panorama(tmp_path, photo):
    names = [f"{i:03}.png" for i in range(25)]
    for name in names:
        photo(tmp_path / "images" / name)
    photo(tmp_path / "query/q.jpg")
    value = struct(
        dbImageFns=names, utmDb=np.zeros((2, 25)), qImageFns=["q.jpg"], utmQ=np.zeros((2, 1)), posDistThr=None
    )
    matfiles.write_v5(tmp_path / "tokyo247.mat", {"dbStruct": value})
    dataset = open_dataset(f"pitts:{tmp_path}")
    assert [photo.panorama for photo in dataset.photos[:25]] == ["0"] * 12 + ["1"] * 12 + ["2"]
    assert len(dataset.queries[0].positives) == 25


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"utmDb": None}, "lacks utmDb"),
        ({"dbImageFns": None}, "lacks dbImageFns"),
        ({"qImageFns": None}, "lacks qImageFns"),
        ({"utmQ": np.zeros((2, 3))}, r"utmQ .* does not fit its images; found 2x3; allowed: 2x2"),
        ({"utmDb": np.full((2, 3), np.nan)}, "does not fit its images"),
        (
            {"dbImageFns": ["none.jpg", "b", "c"]},
            "none of the 3 database photos of .*mat is there; found no none.jpg; allowed: photos below one of /",
        ),
        ({"dbImageFns": ["000/a.jpg", "b", "c"]}, "lacks 2 of its 3 photos; found no .*/b"),
        (
            {"dbImageFns": ["b", "000/a.jpg", "c"]},
            "lacks 2 of its 3 photos; found no .*/b; allowed: photos in /",
        ),
        ({"qImageFns": [np.ones(2), np.ones(2)]}, "qImageFns .* is not a list of file names"),
    ],
)
def test_a_broken_dbstruct_is_one_clear_line(pitts, changes, message):
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset(f"pitts:{pitts(struct(**changes))}")
    assert "\n" not in str(error.value)


def test_what_is_no_dbstruct(tmp_path, pitts):
    with pytest.raises(DatasetError, match="holds no dbStruct"):
        open_dataset(f"pitts:{matfiles.write_v5(tmp_path / 'x.mat', {'other': np.eye(2)})}")
    (tmp_path / "x.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(DatasetError, match=r"x.mat cannot be read; found .*is damaged"):
        open_dataset(f"pitts:{tmp_path / 'x.mat'}")
    pitts(struct())
    pitts(struct(), name="pitts250k_test.mat")
    with pytest.raises(DatasetError, match=r"found 3 .mat files; name the .mat file itself"):
        open_dataset(f"pitts:{tmp_path}")


@pytest.mark.parametrize("rest", ["@33@T@591@18@", "@33@T@59.5@@", "@33@T@x@18@", "@33@T@59.5@190.5@"])
def test_fields_that_are_no_degrees_are_neither(tmp_path, photo, rest):
    photo(tmp_path / name_at(500000, 0, rest))
    only = open_dataset(f"utm:{tmp_path}").photos[0]
    assert (only.latitude, only.longitude) == (None, None) and only.utm == (500000, 0)

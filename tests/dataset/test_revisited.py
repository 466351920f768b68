"""Revisited Oxford and Paris: three ground truths in one pickle that is read without running anything."""

import os
import pickle

import numpy as np
import pytest

from pocketvlad.dataset import open_dataset
from pocketvlad.errors import DatasetError
from pocketvlad.evaluate.retrieval import evaluate_descriptors


def ground_truth():
    """Four images, two queries; the second has no easy image. Arrays as the published files have them."""
    return {
        "imlist": ["all_souls_000000", "all_souls_000001", "all_souls_000002", "all_souls_000003"],
        "qimlist": ["all_souls_000013", "all_souls_000026"],
        "gnd": [
            {"bbx": [0.5, 0, 3, 2], "easy": np.array([0]), "hard": np.array([1, 2]), "junk": np.array([3])},
            {"bbx": np.array([1.0, 0, 4, 3]), "easy": np.array([], int), "hard": [3], "junk": []},
        ],
    }


@pytest.fixture
def revisited(tmp_path, photo):
    """Writes a ground truth and all its images; returns the folder."""

    def write(value, protocol=2):
        (tmp_path / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(value, protocol))
        for stem in (*ground_truth()["imlist"], *ground_truth()["qimlist"]):
            photo(tmp_path / f"jpg/{stem}.jpg")
        return tmp_path

    return write


@pytest.mark.parametrize("protocol", range(6))
def test_medium_is_the_main_figure_easy_and_hard_are_beside_it(revisited, protocol):
    root = revisited(ground_truth(), protocol)
    dataset = open_dataset(f"revisited:{root}")
    medium, easy, hard = dataset.queries, dataset.variants["easy"], dataset.variants["hard"]
    assert dataset.database == (0, 1, 2, 3) and [query.photo for query in medium] == [4, 5]
    assert (medium[0].positives, medium[0].junk) == ({0, 1, 2}, {3})
    assert (easy[0].positives, easy[0].junk) == ({0}, {1, 2, 3})
    assert (hard[0].positives, hard[0].junk) == ({1, 2}, {0, 3})
    assert len(easy) == 1 and (hard[1].positives, hard[1].junk) == ({3}, set())
    assert dataset.skipped == ("1 of 2 queries have no positive in easy: left out",)
    assert dataset.photos[4].box == (0.5, 0, 3, 2) and dataset.photos[0].box is None
    assert open_dataset(f"revisited:{root / 'gnd_roxford5k.pkl'}").queries == medium


def test_all_three_are_scored_from_one_set_of_descriptors(revisited):
    dataset = open_dataset(f"revisited:{revisited(ground_truth())}")
    angles = np.deg2rad([10, 20, 30, 5, 0, 4])
    descriptors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    values = evaluate_descriptors(dataset, descriptors).as_values()
    assert values["protocol"] == "revisited Medium, query cropped to its box"
    assert values["mAP"] == pytest.approx(1) and values["easy mAP"] == pytest.approx(1)
    assert values["mP@10"] == values["hard mP@1"] == 1 and values["easy queries"] == 1


class Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mknod, (str(self.path),)


@pytest.mark.parametrize("protocol", range(6))
def test_code_in_the_pickle_is_refused_and_not_run(revisited, tmp_path, protocol):
    root = revisited({**ground_truth(), "more": Runs(tmp_path / "trace")}, protocol)
    with pytest.raises(
        DatasetError, match=r"not a plain ground truth; found posix.mknod; allowed: builtins and numpy"
    ):
        open_dataset(f"revisited:{root}")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("call", ["eval", "exec", "getattr", "__import__", "open"])
def test_functions_among_the_builtins_are_refused_too(revisited, call):
    root = revisited({})
    (root / "gnd_roxford5k.pkl").write_bytes(f"c__builtin__\n{call}\n(S'1'\ntR.".encode())
    with pytest.raises(DatasetError, match=rf"not a plain ground truth; found builtins.{call}"):
        open_dataset(f"revisited:{root}")


def without(key):
    return lambda value: value.pop(key)


def entry(index, key, new):
    return lambda value: value["gnd"][index].__setitem__(key, new)


@pytest.mark.parametrize(
    "change, message",
    [
        (without("imlist"), "is not a revisited ground truth"),
        (lambda value: value["qimlist"].pop(), "found 2 for 1 queries"),
        (lambda value: value["gnd"][0].pop("junk"), "lacks one of its lists"),
        (entry(0, "bbx", [1, 2]), "has no box"),
        (entry(0, "easy", [4]), "an image beyond its list; found 4; allowed: 0 to 3"),
        (entry(1, "hard", [-1]), "an image beyond its list"),
        (
            lambda value: value["imlist"].append("gone"),
            r"lacks 1 of the 7 photos that gnd_roxford5k.pkl names; found no gone.jpg",
        ),
    ],
)
def test_a_broken_ground_truth_is_one_clear_line(revisited, change, message):
    value = ground_truth()
    change(value)
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset(f"revisited:{revisited(value)}")
    assert "\n" not in str(error.value)


def test_every_truncation_is_refused(revisited):
    root = revisited(ground_truth())
    file = root / "gnd_roxford5k.pkl"
    whole = file.read_bytes()
    for keep in range(0, len(whole), 7):
        file.write_bytes(whole[:keep])
        with pytest.raises(DatasetError, match="not a plain ground truth"):
            open_dataset(f"revisited:{root}")

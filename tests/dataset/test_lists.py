"""Ground truths of other projects: Patch-NetVLAD's, GSV-Cities' and OpenVPRLab's, VPR-Bench's."""

import os
import shutil

import numpy as np
import pytest

from pocketvlad.dataset import open_dataset
from pocketvlad.errors import DatasetError


class Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mknod, (str(self.path),)


def objects(*rows):
    array = np.empty(len(rows), object)
    array[:] = rows
    return array


def right(dataset):
    """The names that are right for each query, by the query's."""
    name = [photo.name for photo in dataset.photos]
    return {name[q.photo]: sorted(name[i] for i in q.positives) for q in dataset.queries}


@pytest.fixture
def patch_netvlad(tmp_path, photo):
    """Writes the files of Patch-NetVLAD beside photos; returns the folder."""

    def write(root=tmp_path, stem="towns_test", split=False, **changes):
        arrays = {
            "utmDb": np.array([[0.0, 0], [20, 0], [90, 0]]),
            "utmQ": np.array([[5.0, 0], [500, 0]]),
            "posDistThr": 25,
        } | changes
        truth, lists = (root / "dataset_gt_files", root / "dataset_imagenames") if split else (root, root)
        for folder in (truth, lists):
            folder.mkdir(parents=True, exist_ok=True)
        np.savez(truth / f"{stem}.npz", **{key: value for key, value in arrays.items() if value is not None})
        names = {
            "index": [f"./town/db/{i}.jpg" for i in range(3)],
            "query": [f"./town/q/{i}.jpg" for i in range(2)],
        }
        for word, listed in names.items():
            (lists / f"towns_imageNames_{word}.txt").write_text("\n".join(listed) + "\n")
            for name in listed:
                photo(root / name)
        return root

    return write


@pytest.mark.parametrize("split", [False, True])
def test_patch_netvlad(patch_netvlad, split):
    root = patch_netvlad(split=split)
    dataset = open_dataset(f"patch-netvlad:{root}")
    assert right(dataset) == {
        "queries/town/q/0.jpg": ["database/town/db/0.jpg", "database/town/db/1.jpg"],
        "queries/town/q/1.jpg": [],
    }
    assert dataset.metric == "recall" and dataset.protocol == "Recall@N within 25 m"
    assert dataset.skipped == ("1 of 2 queries have no positive: counted as missed",)
    assert dataset.photos[2].utm == (90, 0)
    file = next(root.rglob("*.npz"))
    assert right(open_dataset(f"patch-netvlad:{file}")) == right(dataset)


def test_numbers_of_frames_are_no_metres(patch_netvlad):
    """Nordland's: whole numbers, 10 of them."""
    frames = {"utmDb": np.array([[0, 0], [3, 3], [9, 9]]), "utmQ": np.array([[1, 1], [20, 20]])}
    dataset = open_dataset(f"patch-netvlad:{patch_netvlad(**frames, posDistThr=10)}")
    assert dataset.protocol == "Recall@N within 10 of the file's own unit"
    assert [sorted(query.positives) for query in dataset.queries] == [[0, 1], []]
    assert all(photo.utm is None for photo in dataset.photos)


def test_tokyo_has_its_panoramas(patch_netvlad):
    root = patch_netvlad(stem="tokyo247")
    assert open_dataset(f"patch-netvlad:{root}").photos[0].panorama == "0"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"utmQ": None}, "lacks utmQ; found utmDb, posDistThr"),
        (
            {"utmDb": np.zeros((2, 2))},
            "utmDb .* does not fit towns_imageNames_index.txt; found 2x2 .*; allowed: 3x2",
        ),
        ({"utmQ": np.full((2, 2), np.nan)}, "utmQ .* does not fit"),
        ({"posDistThr": None}, "lacks posDistThr, the distance of a positive"),
        ({"posDistThr": -1}, "lacks posDistThr"),
        ({"utmQ": objects([1, 2], [3, 4])}, "is not a NumPy archive; found Object arrays cannot be loaded"),
    ],
)
def test_broken_arrays_of_patch_netvlad_are_one_line(patch_netvlad, changes, message):
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset(f"patch-netvlad:{patch_netvlad(**changes)}")
    assert "\n" not in str(error.value)


def test_files_of_patch_netvlad_that_are_not_there(patch_netvlad, tmp_path):
    root = patch_netvlad()
    (root / "town/db/1.jpg").unlink()
    with pytest.raises(DatasetError, match=r"lacks 1 of its 3 photos; found no .*1.jpg; allowed: photos in "):
        open_dataset(f"patch-netvlad:{root}")
    shutil.rmtree(root / "town/db")
    with pytest.raises(DatasetError, match="none of the 3 database photos of .* is there; .* below one of /"):
        open_dataset(f"patch-netvlad:{root}")
    (root / "towns_imageNames_query.txt").unlink()
    with pytest.raises(
        DatasetError, match=r"needs one file \*_imageNames_query.txt; found none; allowed: one in /"
    ):
        open_dataset(f"patch-netvlad:{root}")
    np.savez(root / "more.npz")
    with pytest.raises(DatasetError, match=r"found more.npz, towns_test.npz; .*name the .npz itself"):
        open_dataset(f"patch-netvlad:{root}")


NAMES = {
    "gsv": ("set_dbImages.npy", "set_qImages.npy", "set_gt.npy"),
    "lab": ("set_dbImages.npy", "set_qImages.npy", "set_gt_25m.npy"),
    "msls": (
        "msls_val_ref_image_names.npy",
        "msls_val_query_image_names.npy",
        "msls_val_ground_truth_25m.npy",
    ),
}


@pytest.fixture
def gsv_cities(tmp_path, photo):
    """Writes three arrays beside photos; returns the folder."""

    def write(truth, files=NAMES["gsv"], root=tmp_path, database=("ref/0.jpg", "ref/1.jpg", "ref/2.jpg")):
        queries = ("query/0.jpg", "query/1.jpg")
        for file, array in zip(files, (np.array(database), np.array(queries), truth), strict=True):
            np.save(root / file, array, allow_pickle=True)
        for name in (*database, *queries):
            photo(root / name)
        return root

    return write


TRUTHS = [objects(np.array([0, 2]), np.array([1])), objects([0, 2], [1]), objects((0, 2), range(1, 2))]


@pytest.mark.parametrize("files", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("truth", TRUTHS)
def test_gsv_cities(gsv_cities, files, truth):
    root = gsv_cities(truth, files)
    dataset = open_dataset(f"gsv-cities:{root}")
    assert right(dataset) == {
        "queries/query/0.jpg": ["database/ref/0.jpg", "database/ref/2.jpg"],
        "queries/query/1.jpg": ["database/ref/1.jpg"],
    }
    assert dataset.protocol == f"Recall@N by the positives of {files[2]}" and dataset.metric == "recall"
    assert open_dataset(f"gsv-cities:{root / files[2]}").queries == dataset.queries


def test_a_column_of_numbers_and_msls_with_fewer_queries(gsv_cities):
    root = gsv_cities(np.array([[1], [0]]))
    assert [sorted(q.positives) for q in open_dataset(f"gsv-cities:{root}").queries] == [[1], [0]]
    root = gsv_cities(objects([2]), ("m_dbImages.npy", "m_qImages.npy", "m_pIdx.npy"))
    np.save(root / "m_qIdx.npy", np.array([1]))
    with pytest.raises(
        DatasetError, match="found m_pIdx.npy, set_gt.npy; .*name the file of positives itself"
    ):
        open_dataset(f"gsv-cities:{root}")
    assert right(open_dataset(f"gsv-cities:{root / 'm_pIdx.npy'}")) == {
        "queries/query/1.jpg": ["database/ref/2.jpg"]
    }


@pytest.mark.parametrize(
    "truth, message",
    [
        (objects([0], [3]), "names an image beyond its list; found 3; allowed: 0 to 2"),
        (objects([0], [-1]), "names an image beyond its list; found -1"),
        (objects([0], [0.5]), "names an image beyond its list; found 0.5"),
        (objects([0], range(10**12)), "is not a plain ground truth; found a range of 1000000000000 numbers"),
        (objects([0]), "does not fit its queries; found 1; allowed: 2 rows"),
        (objects([0], ["a"]), "is not a ground truth; found .* allowed: lists of numbers"),
        (objects([0], None), "is not a ground truth; found None"),
        (np.array(0), "does not fit its queries; found one value"),
    ],
)
def test_broken_positives_are_one_line(gsv_cities, truth, message):
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset(f"gsv-cities:{gsv_cities(truth)}")
    assert "\n" not in str(error.value)


def test_code_in_an_array_is_refused_and_not_run(gsv_cities, tmp_path):
    root = gsv_cities(objects([0], Runs(tmp_path / "trace")))
    with pytest.raises(
        DatasetError, match="not a plain ground truth; found posix.mknod; allowed: builtins and numpy"
    ):
        open_dataset(f"gsv-cities:{root}")
    assert not (tmp_path / "trace").exists()


def test_every_truncation_of_an_array_is_refused(gsv_cities):
    root = gsv_cities(TRUTHS[0])
    whole = (root / "set_gt.npy").read_bytes()
    for keep in range(0, len(whole), 9):
        (root / "set_gt.npy").write_bytes(whole[:keep])
        with pytest.raises(DatasetError, match="is not a NumPy array|not a plain ground truth"):
            open_dataset(f"gsv-cities:{root}")


def test_names_that_are_none(gsv_cities):
    root = gsv_cities(TRUTHS[0])
    np.save(root / "set_dbImages.npy", np.arange(3))
    with pytest.raises(DatasetError, match=r"set_dbImages.npy is not a list of names; found int64"):
        open_dataset(f"gsv-cities:{root}")
    (root / "set_dbImages.npy").unlink()
    with pytest.raises(DatasetError, match="lacks set_dbImages.npy; allowed: X_dbImages.npy"):
        open_dataset(f"gsv-cities:{root}")


@pytest.fixture
def vpr_bench(tmp_path, photo):
    """Writes numbered photos and their ground truth; returns the folder."""

    def write(rows, truth=None):
        for name in ("query/0000000.jpg", "query/0000001.jpg", "ref/2.jpg", "ref/10.jpg", "ref/9.jpg"):
            photo(tmp_path / name)
        array = np.empty((len(rows), 2), object)
        for i, row in enumerate(rows):
            array[i, 0], array[i, 1] = row
        np.save(tmp_path / "ground_truth_new.npy", array, allow_pickle=True)
        return tmp_path

    return write


def test_vpr_bench_counts_in_the_order_of_the_numbers(vpr_bench):
    root = vpr_bench([(1, [2]), (0, [0, 1])])
    dataset = open_dataset(f"vpr-bench:{root}")
    assert [photo.name for photo in dataset.photos[:3]] == ["ref/2.jpg", "ref/9.jpg", "ref/10.jpg"]
    assert right(dataset) == {
        "query/0000000.jpg": ["ref/2.jpg", "ref/9.jpg"],
        "query/0000001.jpg": ["ref/10.jpg"],
    }
    with pytest.raises(DatasetError, match=rf"no place for each photo; .* name its layout: vpr-bench:{root}"):
        open_dataset(f"folder:{root}")


@pytest.mark.parametrize(
    "rows, message",
    [
        (
            [(0, [0])],
            "does not fit its queries; found 1x2, and 2 photos in .*query; allowed: a row for each query",
        ),
        ([(0, [0]), (0, [1])], "has two rows for a query; found 1 of 2"),
        ([(0, [0]), (2, [1])], "names an image beyond its list; found 2; allowed: 0 to 1"),
        ([(0, [0]), (1, [3])], "names an image beyond its list; found 3; allowed: 0 to 2"),
    ],
)
def test_a_broken_ground_truth_of_vpr_bench_is_one_line(vpr_bench, rows, message):
    with pytest.raises(DatasetError, match=message) as error:
        open_dataset(f"vpr-bench:{vpr_bench(rows)}")
    assert "\n" not in str(error.value)


def test_photos_that_cannot_be_counted(vpr_bench, photo):
    root = vpr_bench([(0, [0]), (1, [1])])
    (root / "ref/3.heic").touch()
    with pytest.raises(DatasetError, match="counts photos that are not read; found 1 photo of kind .heic"):
        open_dataset(f"vpr-bench:{root}")
    (root / "ref/3.heic").unlink()
    photo(root / "ref/a.jpg")
    with pytest.raises(DatasetError, match="a photo in .*ref has no number; found a.jpg"):
        open_dataset(f"vpr-bench:{root}")
    (root / "ground_truth_new.npy").unlink()
    with pytest.raises(DatasetError, match="lacks ground_truth_new.npy; allowed: folders query and ref"):
        open_dataset(f"vpr-bench:{root}")


def test_positions_below_ref_and_query_name_their_layout(tmp_path, photo):
    for name in ("database/@500000@4000000@.jpg", "queries/@500001@4000000@.jpg"):
        photo(tmp_path / name)
    with pytest.raises(DatasetError, match=rf"name its layout: utm:{tmp_path}"):
        open_dataset(str(tmp_path))

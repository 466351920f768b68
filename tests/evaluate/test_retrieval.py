"""From descriptors to accuracy, and descriptors to and from hloc's files."""

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from PIL import Image

from pocketvlad.dataset import Dataset, Photo, Query
from pocketvlad.dataset.region import load_region
from pocketvlad.errors import ArtifactError, DatasetError, PhotoError
from pocketvlad.evaluate.describe import describe_photos
from pocketvlad.evaluate.descriptor_files import read_descriptors, write_descriptors
from pocketvlad.evaluate.retrieval import compare, evaluate_descriptors, metric_name
from pocketvlad.index import build_index
from pocketvlad.model.preprocess import DecodedPhoto, load_photo


def circle(*degrees):
    """Unit vectors float32 [n, 2]: cosine falls with the angle between them."""
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def dataset(tmp_path, count, queries, database=None, metric="map", **more):
    photos = tuple(Photo(tmp_path / f"{i}.png", f"{i}.png", str(i)) for i in range(count))
    searched = tuple(range(count)) if database is None else tuple(database)
    return Dataset("test", photos, tuple(queries), searched, metric, **more)


def test_map_by_hand(tmp_path):
    """Query 0 at 0 degrees; photo 1 good, 2 wrong, 3 good, 4 junk and nearest."""
    data = dataset(tmp_path, 5, [Query(0, frozenset({1, 3}), frozenset({0, 4}))])
    result = evaluate_descriptors(data, circle(0, 10, 20, 30, 1))
    assert result.score == pytest.approx(0.5 + (0.5 + 2 / 3) / 4)
    assert result.best == (1,) and result.queries == ("0.png",)
    assert result.precisions == pytest.approx({1: 1, 5: 2 / 3, 10: 2 / 3})
    assert result.as_values()["mAP"] == result.score


def test_the_query_stays_in_the_database_where_the_protocol_keeps_it(tmp_path):
    """Classic Oxford: the query's own image is a positive, found first."""
    data = dataset(tmp_path, 3, [Query(0, frozenset({0, 2}))])
    assert evaluate_descriptors(data, circle(0, 10, 20)).per_query == pytest.approx([0.5 + (0.5 + 2 / 3) / 4])


def test_recall_counts_queries_without_positives_as_missed(tmp_path):
    queries = [Query(2, frozenset({0})), Query(3, frozenset()), Query(4, frozenset({1}))]
    data = dataset(tmp_path, 5, queries, database=[0, 1], metric="recall")
    result = evaluate_descriptors(data, circle(0, 90, 1, 2, 3))
    assert result.recalls == pytest.approx({1: 1 / 3, 5: 2 / 3, 10: 2 / 3, 20: 2 / 3})
    assert result.score == pytest.approx(1 / 3)
    values = result.as_values()
    assert "mAP" not in values and not result.precisions
    assert (values["metric"], values["queries without a positive"]) == ("Recall@1", 1)


@pytest.mark.parametrize("metric, name", [("map", "mAP"), ("recall", "Recall@1")])
def test_a_result_knows_the_name_of_its_score(tmp_path, metric, name):
    data = dataset(tmp_path, 3, [Query(0, frozenset({1}), frozenset({0}))], metric=metric)
    result = evaluate_descriptors(data, circle(0, 20, 10))
    assert metric_name(result.metric) == result.as_values()["metric"] == name
    assert result.score == (0.25 if metric == "map" else 0)


def test_one_list_of_what_was_left_out(tmp_path):
    """What the layout left out, then what could not be read; descriptors and result have the same."""
    for i in range(3):
        Image.new("RGB", (8, 8), (60 * i, 255 - 60 * i, 9)).save(tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_bytes(b"")
    data = dataset(tmp_path, 3, [Query(0, frozenset({1}), frozenset({0}))], skipped=("one place",))
    descriptors, readable = describe_photos(mean_colour, data)
    assert readable.skipped[0] == "one place" and "2.png cannot be decoded" in readable.skipped[1]
    assert evaluate_descriptors(readable, descriptors).skipped == readable.skipped


@pytest.mark.parametrize("value, found", [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_a_descriptor_that_is_not_finite_is_refused_with_its_photo(tmp_path, value, found):
    message = f"the descriptor of 1.png is not finite; found {found}; check the model"
    data = dataset(tmp_path, 2, [Query(0, frozenset({1}), frozenset({0}))])
    rows = np.array([[1, 0], [value, 0]], np.float32)
    with pytest.raises(ArtifactError, match=message):
        evaluate_descriptors(data, rows)
    with pytest.raises(ArtifactError, match=message):
        describe_photos(lambda path: rows[int(path.stem)], data)
    with pytest.raises(ArtifactError, match=message):
        build_index(lambda path: rows[int(path.stem)], data, bytes(32), thumbnail_px=0)


def test_one_hit_per_panorama_is_reported_beside_the_plain_recall(tmp_path):
    """The nearest six are of one wrong panorama; the right one is the second panorama."""
    photos = [Photo(tmp_path / str(i), str(i), panorama="wrong" if i < 6 else "right") for i in range(8)]
    data = Dataset("tokyo", tuple(photos), (Query(7, frozenset({6})),), tuple(range(7)), "recall")
    result = evaluate_descriptors(data, circle(1, 2, 3, 4, 5, 6, 7, 0))
    assert (result.recalls[1], result.recalls[5], result.recalls[10]) == (0, 0, 1)
    assert (result.panorama_recalls[1], result.panorama_recalls[5]) == (0, 1)
    assert result.as_values()["recall@5 per panorama"] == 1


def test_ties_keep_the_order_of_the_database(tmp_path):
    data = dataset(tmp_path, 4, [Query(0, frozenset({2}), frozenset({0}))])
    assert evaluate_descriptors(data, circle(0, 10, 10, 10)).per_query == pytest.approx([0.25])


def test_other_ground_truths_of_the_same_photos(tmp_path):
    easy = (Query(0, frozenset({1}), frozenset({0, 2})),)
    data = dataset(
        tmp_path, 3, [Query(0, frozenset({1, 2}), frozenset({0}))], variants={"easy": easy, "hard": ()}
    )
    result = evaluate_descriptors(data, circle(0, 20, 10))
    assert result.variants["easy"].score == 1 and set(result.variants) == {"easy"}
    assert result.as_values()["easy mAP"] == 1


def test_many_queries_are_ranked_in_blocks_like_one_by_one(tmp_path):
    random = np.random.default_rng(0)
    vectors = random.normal(size=(150, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = [Query(i, frozenset({(i + 1) % 150, (i + 7) % 150}), frozenset({i})) for i in range(150)]
    whole = evaluate_descriptors(dataset(tmp_path, 150, queries), vectors).per_query
    single = [evaluate_descriptors(dataset(tmp_path, 150, [query]), vectors).score for query in queries]
    assert whole == pytest.approx(single)


def test_compare_is_in_points_and_of_the_same_queries(tmp_path):
    data = dataset(tmp_path, 3, [Query(0, frozenset({1}), frozenset({0}))])
    good, bad = evaluate_descriptors(data, circle(0, 10, 20)), evaluate_descriptors(data, circle(0, 20, 10))
    assert compare(good, bad).mean == pytest.approx(-75)
    other = evaluate_descriptors(dataset(tmp_path, 3, [Query(1, frozenset({0}))]), circle(0, 10, 20))
    with pytest.raises(DatasetError, match="different queries"):
        compare(good, other)


def test_what_cannot_be_evaluated_is_said(tmp_path):
    with pytest.raises(DatasetError, match="no query with a positive"):
        evaluate_descriptors(dataset(tmp_path, 2, []), circle(0, 1))
    with pytest.raises(DatasetError, match="found 3 rows; allowed: 2"):
        evaluate_descriptors(dataset(tmp_path, 2, [Query(0, frozenset({1}))]), circle(0, 1, 2))
    with pytest.raises(DatasetError, match="nothing to rank"):
        evaluate_descriptors(
            dataset(tmp_path, 2, [Query(0, frozenset({1}), frozenset({0, 1}))]), circle(0, 1)
        )


def mean_colour(photo):
    """A describer without a model: the mean colour, unit length."""
    pixels = (photo if isinstance(photo, DecodedPhoto) else load_photo(photo)).pixels
    mean = pixels.reshape(-1, 3).mean(axis=0) + 1
    return (mean / np.linalg.norm(mean)).astype(np.float32)


def test_corrupt_photos_are_skipped_counted_and_named(tmp_path):
    for i in range(4):
        Image.new("RGB", (8, 8), (60 * i, 255 - 60 * i, 9)).save(tmp_path / f"{i}.png")
    (tmp_path / "1.png").write_bytes(b"not a photo")
    queries = [
        Query(0, frozenset({1, 2}), frozenset({0})),
        Query(1, frozenset({0})),
        Query(3, frozenset({1})),
    ]
    steps = []
    descriptors, readable = describe_photos(
        mean_colour, dataset(tmp_path, 4, queries), progress=lambda done, total: steps.append((done, total))
    )
    assert descriptors.shape == (3, 3) and steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(readable.skipped) == 1 and "1.png cannot be decoded" in readable.skipped[0]
    assert [photo.name for photo in readable.photos] == ["0.png", "2.png", "3.png"]
    assert readable.queries == (
        Query(0, frozenset({1}), frozenset({0})),
    )  # renumbered; one lost all positives
    assert evaluate_descriptors(readable, descriptors).skipped == readable.skipped


def test_a_collection_of_nothing_readable_is_refused(tmp_path):
    with pytest.raises(
        PhotoError, match=r"no photo of test could be read; found photo .*0.png does not exist"
    ):
        describe_photos(mean_colour, dataset(tmp_path, 2, []))


def test_a_box_is_cut_out_before_describing(tmp_path):
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[4:9, 10:25] = (200, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    region = Photo(tmp_path / "a.png", "q", box=(9.6, 4.2, 25.0, 8.8))
    assert load_region(region).pixels.shape == (5, 15, 3)
    data = Dataset("boxes", (Photo(tmp_path / "a.png", "a"), region), (), (0,))
    whole, cut = describe_photos(mean_colour, data)[0]
    assert cut[0] > 0.99 and whole[0] < cut[0]


@pytest.mark.parametrize("box", [(40, 0, 50, 10), (5, 5, 5.4, 15), (9, 9, 3, 3), (-9, -9, 0, 0)])
def test_a_box_outside_the_photo_is_refused(tmp_path, box):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    with pytest.raises(PhotoError, match=r"box of q is outside its photo.*30x20 pixels"):
        load_region(Photo(tmp_path / "a.png", "q", box=box))


def test_hloc_files_round_trip(tmp_path):
    """A group per image name (folders become groups) with a dataset global_descriptor."""
    vectors = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
    names = ["db/a.jpg", "db/b.jpg", "query.jpg"]
    write_descriptors(tmp_path / "d.h5", names, vectors)
    with h5py.File(tmp_path / "d.h5") as file:
        assert np.array_equal(file["db/b.jpg"]["global_descriptor"].__array__(), vectors[1])
    found = read_descriptors(tmp_path / "d.h5")
    assert list(found) == names and np.array_equal(np.stack(list(found.values())), vectors)
    with pytest.raises(ArtifactError, match="exists already"):
        write_descriptors(tmp_path / "d.h5", names, vectors)
    write_descriptors(tmp_path / "d.h5", names[:1], vectors[:1], force=True)
    assert list(read_descriptors(tmp_path / "d.h5")) == names[:1]


def test_names_that_are_no_utf8_keep_their_bytes(tmp_path):
    """Latin-1, as old archives and FAT disks have it."""
    name = os.fsdecode(b"stra\xdfe/1.jpg")
    write_descriptors(tmp_path / "d.h5", [name, "é.jpg"], np.eye(2, dtype=np.float32))
    found = read_descriptors(tmp_path / "d.h5")
    assert set(found) == {name, "é.jpg"} and found[name].tolist() == [1, 0]


@pytest.mark.parametrize("name", ["d.npy", "d.csv", "d", "d.h5.txt"])
def test_descriptors_are_written_under_the_name_of_what_they_are(tmp_path, name):
    with pytest.raises(
        ArtifactError, match=r"as HDF5 or for NumPy, which .* does not say; .* allowed: .h5 or .hdf5 or .npz"
    ):
        write_descriptors(tmp_path / name, ["a"], np.zeros((1, 4), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_half_precision_hloc_files_are_read(tmp_path):
    """hloc writes float16 with ``as_half``."""
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.create_group("a.jpg").create_dataset("global_descriptor", data=np.ones(4, np.float16))
        file["a.jpg"].create_dataset("image_size", data=[640, 480])
    found = read_descriptors(tmp_path / "d.h5")["a.jpg"]
    assert found.dtype == np.float32 and found.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(("half", "dtype"), [(False, np.float32), (True, np.float16)])
def test_both_precisions_in_both_layouts(tmp_path, half, dtype):
    names = ["db/é.jpg", os.fsdecode(b"stra\xdfe/1.jpg")]
    rows = np.random.default_rng(0).normal(size=(2, 16)).astype(np.float32)
    for out in ("d.h5", "d.npz"):
        write_descriptors(tmp_path / out, names, rows, half=half)
    with h5py.File(tmp_path / "d.h5", libver="latest") as file:
        stored = file["db/é.jpg"]["global_descriptor"]
        assert stored.dtype == dtype and np.array_equal(stored.__array__(), rows[0].astype(dtype))
    with np.load(tmp_path / "d.npz") as file:
        assert file["names"].tolist() == names and file["descriptors"].dtype == dtype
        assert np.array_equal(file["descriptors"], rows.astype(dtype))


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(ValueError):
        write_descriptors(tmp_path / "d.h5", ["a", "b"], np.zeros((1, 4)))
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import resource, signal, sys
import numpy as np
from pocketvlad.errors import ArtifactError
from pocketvlad.evaluate.descriptor_files import write_descriptors

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    write_descriptors(sys.argv[1], [str(i) for i in range(100)], np.zeros((100, 512), np.float32))
except ArtifactError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_is_one_clear_line(tmp_path):
    """In a process of its own, with files limited to 50 kB: the descriptors are four times that."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "d.h5")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"cannot write {tmp_path / 'd.h5'}: File too large")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not HDF5", None])
def test_what_is_no_hloc_file_is_refused(tmp_path, content):
    path = tmp_path / "d.h5"
    if content is None:
        with h5py.File(path, "w") as file:
            file.create_dataset("keypoints", data=[1])
    else:
        path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"holds no 'global_descriptor'|not a readable HDF5 file"):
        read_descriptors(path)


def test_missing_descriptors_are_named(tmp_path):
    with pytest.raises(ArtifactError, match="not a readable HDF5 file"):
        read_descriptors(tmp_path / "none.h5")

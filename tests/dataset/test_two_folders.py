"""A map in one folder and its queries in another."""

import pytest

from pocketvlad.dataset import open_dataset
from pocketvlad.errors import DatasetError


def truth(dataset):
    """The names that are right for each query, by the query's."""
    name = [photo.name for photo in dataset.photos]
    return {name[q.photo]: sorted(name[i] for i in q.positives) for q in dataset.queries}


def write(photo, root, *names):
    for name in names:
        photo(root / name)


def test_folders_share_their_places(tmp_path, photo):
    write(
        photo,
        tmp_path,
        "map/hall/1.jpg",
        "map/hall/2.jpg",
        "map/gate/1.jpg",
        "asked/hall/1.jpg",
        "asked/far/1.jpg",
    )
    dataset = open_dataset(f"folder:{tmp_path}/map", f"{tmp_path}/asked")
    assert truth(dataset) == {"asked/hall/1.jpg": ["map/hall/1.jpg", "map/hall/2.jpg"]}
    assert [dataset.photos[i].name for i in dataset.database] == [
        "map/gate/1.jpg",
        "map/hall/1.jpg",
        "map/hall/2.jpg",
    ]
    assert dataset.skipped == ("1 place with a query but no good or ok photo: left out (far)",)
    assert (
        dataset.metric == "map"
        and dataset.protocol == f"queries of {tmp_path}/asked against the map, by place"
    )
    assert open_dataset(f"{tmp_path}/map", f"folder:{tmp_path}/asked").queries == dataset.queries


def test_photos_of_one_name_are_one_place(tmp_path, photo):
    """Two drives along one road, frame by frame."""
    write(photo, tmp_path, "summer/1.jpg", "summer/2.jpg", "winter/1.png", "winter/2.png")
    dataset = open_dataset(f"{tmp_path}/summer", f"{tmp_path}/winter")
    assert truth(dataset) == {f"winter/{i}.png": [f"summer/{i}.jpg"] for i in (1, 2)}


def test_manifests_give_their_sides(tmp_path, photo):
    write(photo, tmp_path, "map/images/a.jpg", "map/q.jpg", "asked/b.jpg", "asked/c.jpg")
    (tmp_path / "map/manifest.csv").write_text("image,place,role\na.jpg,hall,good\nq.jpg,hall,query\n")
    (tmp_path / "asked/manifest.csv").write_text("image,place,role\nb.jpg,hall,query\nc.jpg,hall,good\n")
    dataset = open_dataset(f"{tmp_path}/map", f"{tmp_path}/asked/manifest.csv")
    assert truth(dataset) == {"asked/b.jpg": ["map/images/a.jpg"]} and len(dataset.photos) == 2


def test_positions_from_two_folders(tmp_path, photo):
    write(
        photo,
        tmp_path,
        "a/database/@500000@4000000@.jpg",
        "b/v2/@500010@4000000@.jpg",
        "b/v2/@500090@4000000@.jpg",
    )
    for mapped in ("a", "a/database"):
        dataset = open_dataset(f"utm:{tmp_path}/{mapped}", f"utm:{tmp_path}/b/v2")
        assert [sorted(query.positives) for query in dataset.queries] == [[0], []]
        assert dataset.protocol == f"Recall@N within 25 m, queries of {tmp_path}/b/v2"
    assert dataset.photos[1].name == "b/v2/@500010@4000000@.jpg"


@pytest.mark.parametrize(
    "one, other", [("map", "map"), ("map", "map/hall"), ("map/hall", "map"), ("map", "link")]
)
def test_folders_in_each_other_are_refused(tmp_path, photo, one, other):
    write(photo, tmp_path, "map/hall/1.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "map")
    with pytest.raises(DatasetError, match="are not two folders; .* name two apart"):
        open_dataset(f"{tmp_path}/{one}", f"{tmp_path}/{other}")


def test_folders_without_a_common_place_are_refused(tmp_path, photo):
    write(photo, tmp_path, "map/hall/1.jpg", "asked/gate/1.jpg")
    with pytest.raises(
        DatasetError, match=r"no query of .*asked shows a place of .*map; found places such as 'hall' and"
    ):
        open_dataset(f"{tmp_path}/map", f"{tmp_path}/asked")

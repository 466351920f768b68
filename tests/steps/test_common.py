"""What decides whether finished work on a collection still stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers.photos import write_photo
from pocketvlad.dataset import Dataset, Photo, Query
from pocketvlad.steps.common import dataset_hash


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    photos = tuple(Photo(write_photo(tmp_path / f"{n}.jpg"), f"{n}.jpg", "a place") for n in range(3))
    return Dataset("d", photos, (Query(0, frozenset({1}), frozenset({0})),), (0, 1, 2))


def test_the_same_photos_elsewhere_are_the_same(dataset, tmp_path):
    moved = tuple(
        replace(photo, path=write_photo(tmp_path / f"elsewhere/{photo.name}")) for photo in dataset.photos
    )
    assert dataset_hash(replace(dataset, photos=moved, name="e", skipped=("x",))) == dataset_hash(dataset)


@pytest.mark.parametrize(
    "change",
    [
        {"place": "b"},
        {"name": "x.jpg"},
        {"also": ("b",)},
        {"junk": True},
        {"latitude": 1.0, "longitude": 2.0},
        {"utm": (1.0, 2.0)},
        {"box": (0, 0, 2, 2)},
        {"panorama": "p"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_a_photo_is_counts(dataset, change):
    first, *others = dataset.photos
    assert dataset_hash(replace(dataset, photos=(replace(first, **change), *others))) != dataset_hash(dataset)


def test_the_ground_truth_counts(dataset, tmp_path):
    others = [
        replace(dataset, queries=(Query(0, frozenset({1, 2}), frozenset({0})),)),
        replace(dataset, queries=(Query(0, frozenset({1})),)),
        replace(dataset, database=(1, 2)),
        replace(dataset, metric="recall"),
        replace(dataset, variants={"easy": dataset.queries}),
        replace(dataset, variants={"easy": ()}),
    ]
    assert len({dataset_hash(each) for each in (dataset, *others)}) == 1 + len(others)
    before = dataset_hash(dataset)
    write_photo(tmp_path / "0.jpg", "red")
    assert dataset_hash(dataset) != before

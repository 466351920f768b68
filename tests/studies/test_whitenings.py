"""The whitenings' study on a few synthetic places, and what its figures are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.photos import write_places
from pocketvlad.dataset import open_dataset
from pocketvlad.model.choice import STRENGTHS
from pocketvlad.model.whitening import FULL, PCA, fit_softened
from studies import whitening
from studies.tables import read_tables
from studies.whitening import Measured, Vectors, directions, measured

PLACES, VALUES = 12, 40
VIEWS = {"in": 3, "out": 4}


@pytest.fixture(scope="module")
def collections(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whitening")
    return [
        open_dataset(f"folder:{write_places(folder / name, places=PLACES, views=views, size=(32, 24))}")
        for name, views in VIEWS.items()
    ]


def test_each_half_and_each_collection_fits_and_no_place_does_both(collections):
    found = directions(collections)
    assert [each.name for each in found] == [
        "even places → others",
        "odd places → others",
        "in → other buildings",
        "out → other buildings",
    ]
    for each in found:
        assert not set(each.fits) & set(each.tests)
        assert len(each.fits) + len(each.tests) == PLACES * sum(VIEWS.values())
        assert len(each.testing.queries) == len(each.tests)


def test_scores_are_those_of_the_layers_themselves(collections):
    direction = directions(collections)[2]
    random = torch.Generator().manual_seed(0)
    vectors = Vectors(
        torch.randn(len(direction.fits), 2, VALUES, generator=random),
        torch.randn(len(direction.tests), VALUES, generator=random),
    )
    found = measured(vectors, direction, [8, 16], None)
    assert found.chosen in found.scores and len(found.scores) == 1 + 2 * len(STRENGTHS)
    with torch.no_grad():
        unit = torch.nn.functional.normalize(
            fit_softened(vectors.fitting.flatten(0, 1), 8, 0.6)(vectors.testing)
        )
    wanted = whitening.evaluate_descriptors(direction.testing, unit.numpy()).per_query
    assert found.scores[8, 0.6] == pytest.approx(wanted, abs=0.02)


def test_the_best_fixed_one_is_of_these_queries_and_full_has_as_many_dimensions():
    scores = {
        (None, PCA): np.array([0.1, 0.9]),
        (8, FULL): np.array([0.5, 0.4]),
        (8, PCA): np.array([0.6, 0.3]),
    }
    found = Measured((8, PCA), scores)
    assert found.best() is scores[None, PCA] and found.full() is scores[8, FULL]
    assert found.of(np.array([True, False])).best().tolist() == [0.6]
    assert Measured((None, PCA), scores).full() is scores[8, FULL]


def test_its_file_is_a_table(collections, tmp_path):
    photos = [f"folder:{each.photos[0].path.parents[1]}" for each in collections]
    options = ["--clusters", "2", "--size", "64x64", "--views", "2", "--out", str(tmp_path)]
    whitening.main(["--photos", *photos, *options])
    table = read_tables(tmp_path)["whitening"]
    assert table.columns == whitening.COLUMNS
    assert [row[0] for row in table.rows][:3] == [
        "even places → others, 64 dimensions",
        "  of in",
        "  of out",
    ]
    assert (
        len(table.rows) == 2 * (3 + 3 + 1 + 1)
        and len(list(tmp_path.glob("kept/squeezenet1_1-64x64-2-*.npy"))) == 1
    )

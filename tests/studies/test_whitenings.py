"""The whitenings' study on a few synthetic places, and what its figures are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.photos import write_places
from pocketvlad.dataset import open_dataset
from pocketvlad.model.choice import STRENGTHS
from pocketvlad.model.wanted import FULL, PCA
from pocketvlad.model.whitening import fit_softened
from studies import whitening
from studies.beside_fixed import COLUMNS, NONE, Measured, Setting
from studies.tables import read_tables
from studies.whitening import Vectors, directions, grid_of

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


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    class Stopping(torch.nn.Module):
        seen = 0

        def forward(self, view):
            self.seen += 1
            if self.seen == 6:
                raise KeyboardInterrupt
            return view[:, :, :2, :2] + 1

    photos = list(torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(KeyboardInterrupt):
        whitening.local_features(Stopping(), photos, 2, tmp_path / "kept.npy")
    assert not (tmp_path / "kept.npy").exists()
    later = Stopping()
    later.seen = 100
    found = whitening.local_features(later, photos, 2, tmp_path / "kept.npy")
    assert later.seen - 100 < 1 + 8 and found.all()
    whole = Stopping()
    whole.seen = 100
    wanted = whitening.local_features(whole, photos, 2, tmp_path / "whole.npy")
    np.testing.assert_array_equal(found, wanted)


def test_scores_are_those_of_the_layers_themselves(collections, tmp_path):
    direction = directions(collections)[2]
    random = torch.Generator().manual_seed(0)
    vectors = Vectors(
        torch.randn(len(direction.fits), 2, VALUES, generator=random),
        torch.randn(len(direction.tests), VALUES, generator=random),
    )
    found = grid_of(lambda: vectors, direction, [8, 16], tmp_path / "grid.npz")
    assert len(found) == 1 + 2 * len(STRENGTHS)
    with torch.no_grad():
        unit = torch.nn.functional.normalize(
            fit_softened(vectors.fitting.flatten(0, 1), 8, 0.6)(vectors.testing)
        )
    wanted = whitening.evaluate_descriptors(direction.testing, unit.numpy()).per_query
    assert found[8, 0.6] == pytest.approx(wanted, abs=0.02)
    again = grid_of(lambda: vectors, direction, [], tmp_path / "grid.npz")
    assert again.keys() == found.keys() and all((again[key] == found[key]).all() for key in found)


def grid(**scores: tuple[float, float]) -> dict[Setting, np.ndarray]:
    """Of 8 dimensions at every strength: 0.3 for both queries but where said."""
    rest = {(8, strength): np.full(2, 0.3) for strength in STRENGTHS}
    named = {"none": NONE, "full": (8, FULL), "pca": (8, PCA)}
    return rest | {named[name]: np.array(both) for name, both in scores.items()}


TWO = np.array([0, 1])  # collections and places of two queries


def measured(chosen: Setting, scores: dict[Setting, np.ndarray], dim: int | None) -> Measured:
    return Measured.of(chosen, scores, dim, TWO, TWO)


def test_the_best_fixed_one_is_of_these_queries_and_full_has_as_many_dimensions():
    scores = grid(none=(0.1, 0.9), full=(0.5, 0.4), pca=(0.6, 0.3))
    found = measured((8, PCA), scores, None)
    assert found.best is scores[NONE] and found.full is scores[8, FULL] and found.own is scores[8, PCA]
    assert found.asked(TWO == 0).best.tolist() == [0.6]
    assert measured(NONE, scores, None).full is scores[8, FULL]
    asked = measured((8, PCA), scores, 8)  # of so many dimensions no whitening is no candidate
    assert NONE not in asked.candidates and asked.plain is scores[NONE]


def test_of_two_halves_the_best_fixed_one_is_the_same_in_both():
    one = measured((8, FULL), grid(none=(0, 0), full=(0.9, 0.9), pca=(0.1, 0.1)), 8)
    other = measured((8, PCA), grid(none=(0, 0), full=(0.1, 0.1), pca=(0.8, 0.8)), 8)
    found = Measured.together([one, other])
    assert found.own.tolist() == [0.9, 0.9, 0.8, 0.8] and found.said == "8, 1; 8, 0"
    assert found.best.tolist() == [0.9, 0.9, 0.1, 0.1]
    assert [row[1] for row in found.rows("both", ["in", "out"])] == ["4", "2", "2"]


def test_its_file_is_a_table_and_a_second_run_chooses_nothing_anew(collections, tmp_path, monkeypatch):
    photos = [f"folder:{each.photos[0].path.parents[1]}" for each in collections]
    options = ["--clusters", "2", "--size", "64x64", "--views", "2", "--out", str(tmp_path)]
    whitening.main(["--photos", *photos, *options])
    tables = read_tables(tmp_path)
    table = tables["whitening"]
    assert table.columns == COLUMNS
    names = [row[0] for row in table.rows]
    assert names[:4] == ["64 dimensions", "both halves", "  of in", "  of out"]
    assert len(names) == 2 * (1 + 3 + 3 + 3 + 1 + 1)
    assert [row[0] for row in tables["regret"].rows] == [name for name in names if name[:2] != "  "]
    assert tables["regret"].rows[1][1] == "84, 24"
    assert {row[0] for row in tables["constants"].rows} > {"64 dimensions", "chosen each time", "64, 1"}
    for name in ("choose_whitening", "fit_softened"):
        monkeypatch.setattr(whitening, name, None)
    whitening.main(["--photos", *photos, *options])
    assert read_tables(tmp_path)["whitening"].rows == table.rows

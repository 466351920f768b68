"""What the studies compute of themselves: residual bits, fidelity's goals, rows of every study."""

from __future__ import annotations

import numpy as np
import pytest

from bench.searching import DIM, unit
from pocketvlad.compress.recipe import check_recipe, load_recipe
from studies import equal_bytes, fidelity, noise, residual_bits, techniques, toolkits
from studies.fidelity import LAYERS, WHOLE, Fidelity
from studies.scores import Outcome
from studies.tables import read_tables


def test_more_residual_bits_store_more():
    vectors = unit(np.random.default_rng(0).standard_normal((50, DIM), np.float32))
    errors = [np.abs(residual_bits.stored(vectors, bits) - vectors).max() for bits in residual_bits.BITS]
    assert errors == sorted(errors, reverse=True)
    assert residual_bits.agreement(vectors, vectors, 4) == 1.0
    assert residual_bits.bytes_of_a_row(2) == DIM + DIM // 4 + 4


def test_a_goal_of_fidelity_is_of_what_is_lost():
    found = {"8-bit": Fidelity(0.99, 8.0), WHOLE: Fidelity(0.9, 8.1)}
    (row,) = fidelity.figures("alexnet", found)
    assert row["peer"] == WHOLE and row["ratio"] == pytest.approx(10) and row["goal"] == 1.0
    assert found[WHOLE].cell == "0.9000 (8.1)"


def test_fidelity_writes_a_line_for_each_model(monkeypatch, tmp_path):
    cells = {contender.key: Fidelity(0.99, 8.0) for contender in fidelity.contenders()}
    monkeypatch.setattr(fidelity, "open_folds", lambda options, stages, fitting: [options.out.name])
    monkeypatch.setattr(fidelity, "measured", lambda fold, columns: cells)
    fidelity.main(["--weights", "squeezenet.safetensors", "--out", str(tmp_path)])
    table = read_tables(tmp_path)["fidelity"]
    assert [row[0] for row in table.rows] == [
        "squeezenet1_1, 512 dimensions",
        "alexnet, untrained, 4096 dimensions",
        "vgg16, untrained, 4096 dimensions",
    ]
    assert all(row[1:] == ("0.9900 (8.0)",) * len(cells) for row in table.rows)
    assert len(table.figures) == 3 * len(fidelity.GOALS)


def test_fidelity_fits_what_is_asked_for():
    asked = [
        "--models",
        "resnet18",
        "alexnet",
        "--photos",
        "folder:a",
        "folder:b",
        "--most",
        "16",
        "--size",
        "96x128",
    ]
    found = fidelity.models(fidelity._parser().parse_args([*asked, "--dim", "128"]))
    assert [(each.model.backbone, each.model.head, each.model.dim) for each in found] == [
        ("alexnet", "netvlad", 128),
        ("resnet18", "gem", 0),
    ]
    assert all(each.photos == ("folder:a", "folder:b") and each.most == 16 for each in found)
    assert {each.size for each in found} == {"96x128"}


def test_goals_are_of_contenders_that_are_there():
    keys = {contender.key for contender in fidelity.contenders()}
    assert {LAYERS, WHOLE} <= keys and {name for pair in fidelity.GOALS for name in pair} <= keys


@pytest.mark.parametrize(
    "everyone",
    [
        [*equal_bytes.near(), *equal_bytes.far()],
        [*techniques.whitening(), *techniques.convolutions(), *techniques.pruned(), *techniques.teachers()],
        toolkits.contenders(),
    ],
    ids=["equal bytes", "techniques", "toolkits"],
)
def test_no_two_rows_of_a_study_share_their_files(everyone):
    keys = [contender.key for contender in everyone]
    assert len(set(keys)) == len(keys)
    assert all("/" not in key and " " not in key for key in keys)


def test_recipes_of_the_studies_are_allowed():
    asked = []

    class Asked:
        def test_recipe(self, name, recipe, softer):
            asked.append(recipe)

    rows = [*techniques.convolutions(), *techniques.pruned(), *techniques.teachers()]
    for contender in rows:
        contender.test(Asked())
    for recipe in asked:
        check_recipe(recipe, recipe.name)
    assert len(asked) == len(rows) and load_recipe("conv-4bit") in asked


def test_what_loses_nothing():
    def outcome(low):
        return Outcome("a", 2.0, 0.5, 8.0, 0.99, 30.0, 30.1, 0.1, low, 1.0, 9)

    assert outcome(-1.9).loses_nothing and not outcome(-2.1).loses_nothing
    assert outcome(-1.9).smaller == pytest.approx(6.0)
    assert outcome(-1.9).cells() == ("a", "2.00", "8.0x", "0.9900", "30.1", "+0.1 (−1.9 to +1.0)")


def test_bits_shared_out_by_costs_do_better_than_bits_all_alike():
    """And no share of them does better: moving bits from one layer to another costs."""
    found = noise.Costs((100, 1000), (8.0, 1.0))
    assert found.alike(4) == pytest.approx((1 + 9 * 4.0**-4) ** -0.5)
    moved = [
        (1 + 8 * 4.0 ** -(4 + 10 * less) + 4.0 ** -(4 - less)) ** -0.5 for less in np.linspace(0, 0.9, 300)
    ]
    assert found.shared(4) == pytest.approx(max(moved), abs=1e-6) and found.shared(4) > found.alike(4)

"""A tiny cross-fit, for real: fitted, compressed, exported and measured; its file is one of docs/data."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from helpers.photos import write_places
from pocketvlad.cli.console import Output
from pocketvlad.dataset import open_dataset
from pocketvlad.steps.fit_options import FitOptions
from studies import contenders, crossfit, scenes
from studies.folds import CrossFit, every_photo_asks, open_folds
from studies.scores import COLUMNS
from studies.tables import read_tables

PLACES, VIEWS = 4, 3


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return (
        f"folder:{write_places(tmp_path_factory.mktemp('crossfit') / 'photos', places=PLACES, views=VIEWS)}"
    )


@pytest.fixture(scope="module")
def ran(photos, tmp_path_factory):
    """The study's folder after one direction of one recipe, and how to run it again."""
    out = tmp_path_factory.mktemp("out")
    asked = ["--photos", photos, "--clusters", "2", "--dim", "4", "--size", "64x64", "--out", str(out)]

    def run():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(contenders, "open_folds", partial(open_folds, fitting=["even"]))
            crossfit.main([*asked, "--recipes", "compact-7x"])

    run()
    return out, run


def test_its_file_is_a_table_of_the_documentation(ran):
    out, _ = ran
    table = read_tables(out)["crossfit"]
    assert table.columns == COLUMNS and table.command[0].startswith("PYTHONPATH=toolkit")
    assert table.data == "6 photos of 2 places, 6 queries, 64x64"
    assert table.versions["executorch"] and table.machine and table.isa and table.date
    ((name, megabytes, *_),) = table.rows
    size = (out / "even/compact-7x.pte").stat().st_size
    assert name == "`compact-7x`" and megabytes == f"{size / 1e6:.2f}"
    (figures,) = table.figures
    assert figures["queries"] == 6 and 0.5 < figures["cosine"] <= 1 and figures["ratio"] > 3


def test_its_cosine_is_that_of_the_programs_descriptors(ran):
    out, _ = ran
    before, after = (np.load(out / f"even/{name}.npy") for name in ("float32", "compact-7x"))
    (figures,) = json.loads((out / "crossfit.json").read_text())["figures"]
    assert figures["cosine"] == pytest.approx(float(np.einsum("nd,nd->n", before, after).mean()))


def test_a_second_run_keeps_what_has_not_changed(ran, capsys):
    out, run = ran
    before = (out / "even/compact-7x.pte").stat().st_mtime_ns
    run()
    shown = capsys.readouterr().err
    assert shown.count("kept") == shown.count("✓") > 0
    assert (out / "even/compact-7x.pte").stat().st_mtime_ns == before


def test_a_peer_is_measured_beside_the_same_program(ran, photos):
    out, _ = ran
    options = CrossFit((photos,), FitOptions("squeezenet1_1", clusters=2, dim=4, height=64, width=64), out)
    with Output(False).stages() as stages:
        (fold,) = open_folds(options, stages, ["even"])
    rows = iter(fold.reference)
    tested = fold.test_peer("echo", {}, lambda: (lambda photo: next(rows), 1000))
    scores = fold.score(tested)
    assert tested.file_bytes == 1000 and scores.cosines == pytest.approx(np.ones(len(fold.reference)))
    np.testing.assert_array_equal(scores.before, scores.after)


def test_a_made_model_is_measured_on_some_of_the_photos(ran, photos, tmp_path):
    made = ran[0] / "even/model.safetensors"
    fitted = FitOptions("squeezenet1_1", clusters=2, dim=4, height=64, width=64)
    options = CrossFit((photos,), fitted, tmp_path, most=2, made=made)
    with Output(False).stages() as stages:
        (fold,) = open_folds(options, stages, ["even"])
    whole = np.load(ran[0] / "even/float32.npy")
    assert fold.model == made and len(fold.fitting.photos) == 2
    np.testing.assert_array_equal(fold.reference, whole[::3])  # 6 photos


def test_every_photo_with_a_partner_asks(photos):
    dataset = every_photo_asks(open_dataset(photos))
    assert len(dataset.queries) == PLACES * VIEWS
    assert all(len(query.positives) == VIEWS - 1 for query in dataset.queries)
    assert all(query.photo in query.junk for query in dataset.queries)


def test_one_kind_of_place_fits_and_another_tests(tmp_path):
    """Both ways; the rows are of the photos that fitted nothing."""
    for name, places in (("inside", 3), ("outside", 4)):
        write_places(tmp_path / name, places=places, views=VIEWS)
    specs = [f"folder:{tmp_path / name}" for name in ("inside", "outside")]
    sizes = ["--clusters", "2", "--dim", "4", "--size", "64x64", "--out", str(tmp_path / "out")]
    scenes.main(["--photos", *specs, *sizes, "--recipes", "compact-7x"])
    table = read_tables(tmp_path / "out")["scenes"]
    assert [row[1] for row in table.rows] == ["inside to outside", "outside to inside"]
    assert [figures["queries"] for figures in table.figures] == [4 * VIEWS, 3 * VIEWS]

"""The study of machines: a model made in a process of its own, told to do without AVX-512."""

from __future__ import annotations

import pytest

from helpers.photos import write_places
from pocketvlad.errors import PocketvladError
from studies import machines
from studies.tables import read_tables


def test_its_file_is_a_table_and_a_second_run_makes_nothing_anew(tmp_path, monkeypatch):
    photos = f"folder:{write_places(tmp_path / 'photos', places=10, views=2, size=(64, 48))}"
    monkeypatch.setenv("PYTHONPATH", machines.__file__.rsplit("/studies/", 1)[0])
    arguments = ["--photos", photos, "--backbone", "squeezenet1_1", "--clusters", "2", "--size", "64x64"]
    one, out = "AVX2, 1 thread", tmp_path / "out"
    asked = [*arguments, "--recipe", "compact-7x", "--machines", one, "--out", str(out)]
    machines.main(asked)
    table = read_tables(out)["machines"]
    ((fitted, compressed, *hashes, before, after),) = table.rows
    assert (fitted, compressed) == (one, one) and table.columns == machines.COLUMNS
    assert len(set(hashes)) == 3 and all(0 < float(points) <= 100 for points in (before, after))
    monkeypatch.setattr(machines, "make_on", None)
    machines.main(asked)
    assert read_tables(out)["machines"].rows == table.rows


def test_a_failure_is_said(tmp_path):
    with pytest.raises(PocketvladError, match="fit failed"):
        machines.make_on("fit", ["--photos", "folder:/nowhere"], tmp_path, ("AVX2, 1 thread",) * 2, {})

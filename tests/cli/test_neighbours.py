"""``index export`` and ``index pairs``: what other projects read."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest

from helpers.refusals import refused
from pocketvlad.index import open_index


def test_vectors_and_names_for_numpy_and_faiss(run, chain, tmp_path):
    files = tmp_path / "p.npz", tmp_path / "p.faiss"
    code, out, _ = run("index", "export", chain["p.pvix"], "--numpy", files[0], "--faiss", files[1], "--json")
    index = open_index(chain["p.pvix"])
    assert code == 0 and json.loads(out)["photos"] == len(index) == 9
    with np.load(files[0]) as found:
        assert found["names"].tolist() == [entry.name for entry in index.entries]
        assert found["labels"].tolist() == index.labels()
        assert np.array_equal(found["descriptors"], index.descriptors())
        assert found["positions"].shape == (9, 2) and np.isnan(found["positions"]).all()
    rows = np.frombuffer(files[1].read_bytes(), "<f4", offset=45)
    assert np.array_equal(rows.reshape(9, -1), index.descriptors())
    refused(run("index", "export", chain["p.pvix"], "--numpy", files[0]), "exists already", "--force")
    refused(run("index", "export", chain["p.pvix"]), "needs a file to write", "add --faiss FILE")
    refused(run("index", "export", chain["p.pvix"], "--numpy", tmp_path / "p.npy"), "ends in .npz")


def hloc_pairs(path, queries, database, count):
    """The rule of hloc's pairs_from_retrieval, on the HDF5 file that ``describe`` writes."""
    with h5py.File(path, "r", libver="latest") as file:
        rows = {
            name: file[name]["global_descriptor"].__array__().astype(np.float32)
            for name in {*queries, *database}
        }
    found = []
    for query in queries:
        scores = [(float(rows[query] @ rows[name]), name) for name in database if name != query]
        best = sorted((each for each in scores if each[0] >= 0), key=lambda each: -each[0])[:count]
        found += [f"{query} {name}" for _, name in best]
    return found


def test_pairs_are_hlocs(run, chain, photos, tmp_path):
    program, features, out = chain["model.pte"], tmp_path / "global-feats.h5", tmp_path / "pairs.txt"
    assert run("describe", program, "--photos", photos, "--out", features)[0] == 0
    asked = ["--program", program, "--photos", photos, "--out", out, "--top", 3]
    assert run("index", "pairs", chain["p.pvix"], *asked)[0] == 0
    names = [entry.name for entry in open_index(chain["p.pvix"]).entries]
    lines = out.read_text().split("\n")
    assert lines == hloc_pairs(features, names, names, 3) and len(lines) > 9
    assert not [line for line in lines if len(set(line.split())) != 2]
    refused(run("index", "pairs", chain["p.pvix"], *asked), "exists already")


def test_a_name_that_the_list_cannot_hold_is_refused_before_the_work(run, chain, photos, tmp_path):
    folder = tmp_path / "asked/some place"
    folder.mkdir(parents=True)
    shutil.copy(photos / "place-1/0.jpg", folder)
    asked = [
        "--program",
        tmp_path / "none.pte",
        "--photos",
        tmp_path / "asked",
        "--out",
        tmp_path / "pairs.txt",
    ]
    refused(run("index", "pairs", chain["p.pvix"], *asked), "'some place/0.jpg'", "rename the photo")


@pytest.mark.parametrize("command", ["export", "pairs"])
def test_what_is_no_index_is_one_line(run, chain, tmp_path, command):
    words = {
        "export": ["--numpy", tmp_path / "p.npz"],
        "pairs": ["--program", chain["model.pte"], "--photos", tmp_path, "--out", tmp_path / "pairs.txt"],
    }
    refused(run("index", command, chain["model.pte"], *words[command]), "model.pte")

"""The commands from a checkpoint to a program: results, and one clear line for every kind of bad input."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.refusals import refused

OUTDOOR = Path(__file__).parents[3] / "shared/data/places_outdoor"


def test_descriptors_are_hlocs(chain, photos, run, tmp_path):
    import h5py

    code, out, _ = run(
        "describe", chain["model.pte"], "--photos", photos, "--out", tmp_path / "d.h5", "--json"
    )
    assert code == 0 and json.loads(out)["photos"] == 9
    with h5py.File(tmp_path / "d.h5") as file:
        descriptor = file["place-1/0.jpg"]["global_descriptor"][()]
    assert descriptor.shape == (8,) and abs(np.linalg.norm(descriptor) - 1) < 1e-5


def test_an_output_is_never_overwritten_unasked(chain, run, tmp_path):
    out = tmp_path / "exists.safetensors"
    out.write_text("precious")
    refused(run("compress", chain["model.safetensors"], "--out", out, "--recipe", "paper-8bit"), "--force")
    assert out.read_text() == "precious"


class _Evil:
    def __reduce__(self):
        return (Path.touch, (Path("evil-was-here"),))


def _checkpoints(folder: Path, weights: Path) -> dict[str, Path]:
    whole = weights.read_bytes()
    content = {
        "truncated.pth": whole[: len(whole) // 2],
        "code.pth": pickle.dumps({"state_dict": _Evil()}),
        "page.pth": b"<!DOCTYPE html><html>not found</html>",
        "empty.pth": b"",
    }
    for name, data in content.items():
        (folder / name).write_bytes(data)
    torch.save({"conv9.weight": torch.zeros(2, 2)}, folder / "layout.pth")
    return {name: folder / name for name in [*content, "layout.pth", "missing.pth"]}


@pytest.mark.parametrize(
    "name", ["truncated.pth", "code.pth", "page.pth", "empty.pth", "layout.pth", "missing.pth"]
)
def test_bad_checkpoints(run, tmp_path, weights, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = _checkpoints(tmp_path, weights)[name]
    refused(run("import", path, "--out", tmp_path / "m.safetensors"), name)
    assert not (tmp_path / "m.safetensors").exists() and not (tmp_path / "evil-was-here").exists()


def test_bad_datasets(run, chain, tmp_path):
    model = chain["model.safetensors"]
    (tmp_path / "empty").mkdir()
    refused(run("evaluate", model, "--dataset", tmp_path / "empty"), "empty", "no photo")
    refused(run("evaluate", model, "--dataset", tmp_path / "none"), "does not exist")
    refused(run("evaluate", model, "--dataset", f"video:{tmp_path}"), "unknown dataset kind")
    single = tmp_path / "single/one"
    single.mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(single / "a.png")
    refused(run("evaluate", model, "--dataset", tmp_path / "single"), "no query with a positive")
    (single / "a.png").write_bytes(b"broken")  # said before any photo is read
    refused(run("evaluate", model, "--dataset", tmp_path / "single"), "no query with a positive")


def test_map_and_queries_in_two_folders(run, chain, photos, tmp_path):
    """The first photo of each place asks the others: the figure is that of a map without it."""
    for place in range(3):
        for view, side in ((0, "asked"), (1, "map"), (2, "map")):
            (tmp_path / f"{side}/place-{place}").mkdir(parents=True, exist_ok=True)
            path = tmp_path / f"{side}/place-{place}/{view}.jpg"
            path.write_bytes((photos / f"place-{place}/{view}.jpg").read_bytes())
    evaluate = ("evaluate", chain["model.pte"], "--dataset", tmp_path / "map", "--queries")
    code, out, _ = run(*evaluate, tmp_path / "asked", "--json")
    values = json.loads(out)
    assert code == 0 and values["queries"] == 3 and values["protocol"].startswith("queries of ")
    assert values["recall@1"] == 1 and values["mistakes"] == []
    refused(run(*evaluate, tmp_path / "map"), "the map and the queries are not two folders")
    refused(run(*evaluate, tmp_path / "none"), "none does not exist")
    pitts = (
        "evaluate",
        chain["model.pte"],
        "--dataset",
        f"pitts:{tmp_path}",
        "--queries",
        tmp_path / "asked",
    )
    refused(run(*pitts), "pitts names its own queries", "folder and utm")


def test_wrong_answers_are_listed_with_their_distance(run, chain, photos, tmp_path):
    """Two places whose photos lie in each other's position: every answer is 300 m away."""
    for place in range(2):
        for view, side in ((0, "queries"), (1, "database")):
            (tmp_path / side).mkdir(exist_ok=True)
            east = 500000 + 300 * (place if side == "queries" else 1 - place)
            name = f"@{east}@4000000@place-{place}@.jpg"
            (tmp_path / side / name).write_bytes((photos / f"place-{place}/{view}.jpg").read_bytes())
    evaluate = ("evaluate", chain["model.pte"], "--dataset", f"utm:{tmp_path}")
    wrong = json.loads(run(*evaluate, "--json")[1])["mistakes"]
    assert [(row["metres"], row["unanswerable"]) for row in wrong] == [(300, False)] * 2
    assert wrong[0]["query"] == "queries/@500000@4000000@place-0@.jpg"
    assert wrong[0]["answer"] == "database/@500300@4000000@place-0@.jpg"
    shown = run(*evaluate)[1]
    assert "2 wrong answers" in shown and len(re.findall(r"\s300\b", shown)) == 2


def test_bad_recipes_and_options(run, chain, photos, tmp_path):
    model, out = chain["model.safetensors"], tmp_path / "c.safetensors"
    recipe = tmp_path / "r.toml"
    recipe.write_text('version = 1\nname = "r"\n[layer]\nbitz = 4\n')
    refused(run("compress", model, "--recipe", recipe, "--out", out), "bitz", "bits")
    recipe.write_text('version = 1\nname = "r"\n[layer]\nbits = 9\n')
    refused(run("compress", model, "--recipe", recipe, "--out", out), "bits", "1 to 8")
    refused(run("compress", model, "--recipe", "nonsense", "--out", out), "unknown recipe", "paper-8bit")
    refused(
        run("export", chain["small.safetensors"], "--size", "big", "--out", tmp_path / "x.pte"), "480x640"
    )
    refused(run("evaluate", tmp_path / "no.pte", "--dataset", photos), "does not exist")
    assert run("compress")[0] == 2 and run("no-such-command")[0] == 2


@pytest.mark.parametrize(
    "backbone, size", [("squeezenet1_1", "16x16"), ("alexnet", "30x64"), ("efficientnet_lite0", "31x31")]
)
def test_a_size_too_small_for_the_backbone_is_said_before_any_photo_is_read(run, tmp_path, backbone, size):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(b"broken")
    fit = ("fit", "--backbone", backbone, "--size", size, "--photos", tmp_path / "photos")
    refused(
        run(*fit, "--out", tmp_path / "m.safetensors"), "too small for the backbone", size, "64x64 or more"
    )


def test_a_program_of_a_size_too_small_is_refused(run, chain, tmp_path):
    export = ("export", chain["small.safetensors"], "--size", "16x16", "--out", tmp_path / "x.pte")
    refused(run(*export), "too small for the backbone; found 16x16")


@pytest.mark.skipif(not OUTDOOR.is_dir(), reason=f"no real photos at {OUTDOOR}")
def test_real_photos_are_read_and_ranked(run, chain):
    code, out, _ = run("evaluate", chain["model.pte"], "--dataset", OUTDOOR, "--json")
    assert code == 0 and json.loads(out)["queries"] == 112


def test_a_fit_says_which_of_several_weights_it_took(photos, weights, run, tmp_path):
    network = torch.load(weights, weights_only=True)
    torch.save({"teacher": network, "student": network}, tmp_path / "both.pth")
    fit = (
        "fit",
        "--backbone",
        "squeezenet1_1",
        "--photos",
        photos,
        "--size",
        "64x96",
        "--dim",
        0,
        "--clusters",
        2,
    )
    code, out, _ = run(*fit, "--weights", tmp_path / "both.pth", "--out", tmp_path / "m.safetensors")
    assert code == 0 and "'teacher' was taken, 'student' not" in out

"""`pocketvlad compress` as a user meets it: training that survives a kill, searches, refusals in one line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import forked
from helpers.faults import fault
from helpers.models import make_model
from helpers.refusals import refused
from pocketvlad.cli.console import Output
from pocketvlad.compress.compressed import load_compressed
from pocketvlad.compress.ratio import PROJECTIONS
from pocketvlad.compress.search import sensitivity
from pocketvlad.errors import ArtifactError
from pocketvlad.model.network import save_model
from pocketvlad.model.whitening import fit_whitening
from pocketvlad.pipeline.files import open_plan
from pocketvlad.pipeline.run import Run
from pocketvlad.steps.training import StateFolder

RECIPE = """version = 1
name = "tiny-trained"
[layer]
bits = 4
row_scale = "max"
[train]
steps = 12
tuples = 2
negatives = 2
margin = 0.5
distill = 0.5
assign_every = 2
refresh_every = 4
save_every = 1
validate_every = 6
validation = 0.34
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Six places with three noisy views each, and a corrupt photo."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for place in range(6):
        scene = random.normal(128, 60, (8, 10, 3))
        (folder / f"place-{place}").mkdir()
        for view in range(3):
            pixels = np.clip(scene + random.normal(0, 15, scene.shape), 0, 255).astype(np.uint8)
            picture = Image.fromarray(pixels).resize((80, 64), Image.Resampling.BICUBIC)
            picture.save(folder / f"place-{place}/{view}.png")
    (folder / "place-0/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """A tiny model with a PCA whitening, and a recipe that trains."""
    folder = tmp_path_factory.mktemp("files")
    model = make_model(clusters=2, dim=32)
    spread = torch.linspace(0, 1, 2 * 512)
    model.whitening = fit_whitening(
        torch.randn(128, 2 * 512, generator=torch.Generator().manual_seed(0)) * spread, 32
    )
    save_model(folder / "m.safetensors", model, {})
    (folder / "r.toml").write_text(RECIPE)
    return {"model": folder / "m.safetensors", "recipe": folder / "r.toml"}


def _arguments(files: dict[str, Path], photos: Path, out: Path) -> list[str]:
    given = (
        "compress",
        files["model"],
        "--recipe",
        files["recipe"],
        "--photos",
        photos,
        "--out",
        out,
        "--json",
    )
    return [str(value) for value in given]


def _command(files: dict[str, Path], photos: Path, out: Path, *launcher: str) -> list[str]:
    return [sys.executable, *(launcher or ("-m", "pocketvlad")), *_arguments(files, photos, out)]


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@fault("a fine-tuning is killed", "the same command goes on at the last saved step, to the same bytes")
def test_a_training_killed_at_ten_random_moments_goes_on_to_the_same_bytes(files, photos, tmp_path):
    whole, killed = tmp_path / "whole/c.safetensors", tmp_path / "killed/c.safetensors"
    recipe = tmp_path / "long.toml"
    recipe.write_text(RECIPE.replace("steps = 12", "steps = 100"))
    files = {**files, "recipe": recipe}
    done = subprocess.run(_command(files, photos, whole), env=_environment(), capture_output=True, text=True)
    values = json.loads(done.stdout)
    assert done.returncode == 0 and values["train_steps"] == 100 and "2 places" in values["validation"]
    assert values["program_mb"] > values["mb"] / 2 and "broken.jpg" in values["skipped"][0]
    again = _arguments(files, photos, killed)
    for _ in range(10):
        _kill_after_a_step(again, StateFolder(killed).state)
        assert not killed.exists()
    forked.finish(forked.command, again)
    assert whole.read_bytes() == killed.read_bytes()
    assert [path.name for path in killed.parent.iterdir()] == [killed.name]


def _kill_after_a_step(arguments: list[str], state: Path) -> None:
    """Let it save at least once, then kill it while it computes or saves."""
    saved = state.stat().st_mtime_ns if state.exists() else None
    process = forked.start(forked.command, arguments)
    while process.is_alive() and (not state.exists() or state.stat().st_mtime_ns == saved):
        time.sleep(0.005)
    time.sleep(float(np.random.default_rng().uniform(0, 0.3)))
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_two_processes_train_and_one_writes(files, photos, tmp_path):
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", "-m", "pocketvlad")
    out = tmp_path / "c.safetensors"
    done = subprocess.run(
        _command(files, photos, out, *launcher), env=_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["train_steps"] == 12 and list(tmp_path.iterdir()) == [out]


def test_the_state_of_another_run_is_kept_until_forced(tmp_path):
    folder = StateFolder(tmp_path / "c.safetensors")
    with folder.held():
        _claim_in_turn(folder)
    assert (folder.path / "notes.txt").exists()


def _claim_in_turn(folder: StateFolder) -> None:
    folder.claim({"recipe": ["a", 1]}, afresh=False)
    folder.state.write_bytes(b"hours of work")
    folder.claim({"recipe": ("a", 1)}, afresh=False)
    assert folder.state.exists()
    with pytest.raises(ArtifactError, match="another model, recipe or photos.*by force"):
        folder.claim({"recipe": ["b"]}, afresh=False)
    assert folder.state.exists()
    folder.claim({"recipe": ["b"]}, afresh=True)
    assert not folder.state.exists()
    (folder.path / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="no training wrote"):
        folder.claim({"recipe": ["c"]}, afresh=True)


def test_a_plan_trains_on_its_fitting_places(files, photos, tmp_path):
    plan = tmp_path / "plan.toml"
    (tmp_path / "r.toml").write_text(RECIPE.replace("steps = 12", "steps = 2"))
    table = (
        f'version = 1\n[model]\ncheckpoint = "{files["model"]}"\n[photos]\ndatasets = ["folder:{photos}"]\n'
    )
    plan.write_text(table + '[compress]\nrecipes = ["r.toml"]\n')
    with Output(True).stages() as stages:
        stage = Run(open_plan(plan), tmp_path / "out", stages)
        out, result = stage.compressed(files["model"], "r.toml")
    found = load_compressed(out)
    assert result.recipe == found.recipe.name == "tiny-trained"
    assert found.figures["train_steps"] == 2 and "1 places" in found.figures["validation"]
    assert not StateFolder(out).path.exists()


def test_options_that_do_not_go_together_are_one_line(run, files, photos, tmp_path):
    out = tmp_path / "c.safetensors"
    compress = ("compress", files["model"], "--out", out)
    given = (*compress, "--photos", photos)
    refused(run(*compress, "--recipe", files["recipe"]), "tiny-trained", "--photos")
    refused(run(*compress, "--max-mb", 1), "--photos")
    refused(run(*given, "--recipe", files["recipe"], "--device", "tpu"), "tpu", "cpu")
    refused(run(*given, "--max-mb", 1, "--max-drop", 1), "one of them")
    refused(run(*given, "--max-mb", 1, "--recipe", "paper-8bit"), "paper-8bit", "auto")
    refused(run(*given, "--max-mb", 0), "above 0")
    refused(run(*given, "--max-drop", "nan"), "0 to 100")
    refused(run(*given, "--allow-dim"), "--max-drop or --max-mb")
    out.write_text("precious")
    refused(run(*given, "--max-mb", 1), "--force")
    assert out.read_text() == "precious"


@pytest.mark.parametrize("places", [2, 3])
def test_a_search_needs_two_places_that_can_be_taken_for_each_other(run, files, photos, tmp_path, places):
    """With one place to measure on every answer is right, and every candidate loses nothing."""
    for place in range(places):
        shutil.copytree(photos / f"place-{place}", tmp_path / f"set/place-{place}")
    compress = ("compress", files["model"], "--photos", tmp_path / "set", "--out", tmp_path / "c.safetensors")
    for limit in (("--max-drop", 0), ("--max-mb", 1)):
        refused(run(*compress, *limit), f"found {places} places; allowed: 4 places or more")


def test_a_whitening_that_no_packed_layer_takes_is_said_first(run, photos, tmp_path):
    """300 clusters of 512 channels: 153,600 inputs; by compress, and by a plan before it fits."""
    save_model(tmp_path / "m.safetensors", make_model(clusters=300, dim=2), {})
    compress = ("compress", tmp_path / "m.safetensors", "--recipe", "paper-8bit")
    said = "the whitening cannot be packed; found 153600 inputs, at most 131072 fit"
    refused(run(*compress, "--out", tmp_path / "c.safetensors"), said, "fewer clusters")
    plan = tmp_path / "plan.toml"
    model = 'backbone = "squeezenet1_1"\nclusters = 300\ndim = 2\nheight = 64\nwidth = 64\n'
    table = f'version = 1\n[model]\n{model}[photos]\ndatasets = ["folder:{photos}"]\n'
    plan.write_text(table + '[compress]\nrecipes = ["paper-8bit"]\n')
    code, _, err = run("run", plan, "--out", tmp_path / "out")
    assert code == 1 and said in err and not (tmp_path / "out/model.safetensors").exists()


def test_a_recipe_that_ruins_a_model_is_said(run, files, photos, tmp_path):
    """By compress, which has photos, and by export, whose own check compares with the compressed weights."""
    recipe, small = tmp_path / "r.toml", tmp_path / "c.safetensors"
    for bits, weak in ((1, True), (8, False)):
        recipe.write_text(f'version = 1\nname = "r"\n[layer]\nbits = {bits}\n')
        given = ("--photos", photos, "--force", "--json")
        code, out, err = run("compress", files["model"], "--recipe", recipe, *given, "--out", small)
        assert code == 0, err
        made = json.loads(out)
        code, out, err = run("export", small, *given, "--out", tmp_path / "c.pte")
        exported = json.loads(out)
        assert exported["worst_cosine"] > 0.97 and exported["mean_cosine"] == made["mean_cosine"]
        assert (made["mean_cosine"] < 0.9) is weak
        for values in (made, exported):
            assert bool(values["warning"]) is weak
            assert not weak or "this recipe changes its answers" in values["warning"]


def test_a_search_keeps_its_limit_on_the_program_itself(run, files, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(sensitivity, "BITS", (8, 4))
    monkeypatch.setattr(sensitivity, "PROJECTIONS", (PROJECTIONS[0], PROJECTIONS[9]))
    compress = ("compress", files["model"], "--photos", photos)
    out, program = tmp_path / "c.safetensors", tmp_path / "c.pte"
    code, text, _ = run(*compress, "--max-mb", 0.62, "--out", out, "--json")
    values = json.loads(text)
    assert code == 0 and values["program_mb"] <= 0.62 and "odd places (3 places" in values["validation"]
    assert run("export", out, "--out", program, "--json")[0] == 0
    assert program.stat().st_size == pytest.approx(1e6 * values["program_mb"], rel=0.002)  # names its source
    assert (
        values["drop_low"] <= values["drop_points"] <= values["drop_high"]
        and 0.5 < values["mean_cosine"] <= 1
    )
    refused(run(*compress, "--max-mb", 0.01, "--out", tmp_path / "none"), "no setting fits", "or more")


def test_a_search_may_drop_dimensions(run, files, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(sensitivity, "BITS", (8,))
    monkeypatch.setattr(sensitivity, "PROJECTIONS", (PROJECTIONS[9],))
    given = ("compress", files["model"], "--photos", photos, "--allow-dim")
    code, text, _ = run(*given, "--max-drop", 100, "--out", tmp_path / "c.safetensors", "--json")
    values = json.loads(text)
    assert code == 0 and [row["dim"] for row in values["tried"]] == [32, 16]
    assert values["program_mb"] == min(row["program_mb"] for row in values["tried"])
    assert load_compressed(tmp_path / "c.safetensors").config.dim == 16

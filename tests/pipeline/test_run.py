"""`pocketvlad run`: what it measures, what it keeps, and that it goes on after anything."""

from __future__ import annotations

import json
import random
import re
import shlex
import shutil
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from helpers.faults import fault
from helpers.refusals import refused
from helpers.runs import (
    FITTED,
    RECIPES,
    TinyRun,
    environment,
    name_of,
    run_command,
    run_plan,
    scene_photos,
    stage_lines,
    write_plan,
)
from pocketvlad.android import apk as apks
from pocketvlad.artifact import file_sha256
from pocketvlad.pipeline.files import open_plan
from pocketvlad.report.html import render_report
from pocketvlad.runtime.runner import ProgramRunner
from pocketvlad.schema import to_table

FILES = {"float32": "float32", "paper-8bit": "paper-8bit", "fitted.toml": "fitted"}
FITTED_STAGES = ["compress fitted.toml", "program fitted.toml", "evaluate fitted.toml"]


def photos_that_test(tiny: TinyRun) -> list[Path]:
    """The photos of the odd places, in order, without the damaged one."""
    photos = tiny.plan.parent / "photos"
    return [photo for place in (1, 3) for photo in sorted((photos / f"place-{place}").glob("?.jpg"))]


def average_precision(order: list[int], right: set[int]) -> float:
    """Area under precision over recall by trapezoids, as Oxford's compute_ap.cpp has it."""
    area, hits, recall, precision = 0.0, 0, 0.0, 1.0
    for rank, item in enumerate(order, 1):
        hits += item in right
        area += (hits / len(right) - recall) * (precision + hits / rank) / 2
        recall, precision = hits / len(right), hits / rank
    return area


def mean_average_precision(found: np.ndarray, places: list[str]) -> float:
    """Every photo asks all others."""
    scores = []
    for asked in range(len(found)):
        others = [i for i in range(len(found)) if i != asked]
        order = sorted(others, key=lambda i: -float(found[i] @ found[asked]))
        scores.append(average_precision(order, {i for i in others if places[i] == places[asked]}))
    return 100 * sum(scores) / len(scores)


def test_scores_are_those_of_the_saved_descriptors(tiny_run):
    photos = photos_that_test(tiny_run)
    places, rows = (
        [photo.parent.name for photo in photos],
        {row.name: row for row in tiny_run.summary.variants},
    )
    assert tuple(rows) == ("float32", *RECIPES) and tiny_run.summary.data.queries == len(photos) == 6
    found = {name: np.load(tiny_run.out / f"{file}.descriptors.npy") for name, file in FILES.items()}
    for name, row in rows.items():
        assert row.score == pytest.approx(mean_average_precision(found[name], places))
        assert row.change.mean == pytest.approx(row.score - rows["float32"].score)
        assert row.cosine == pytest.approx(np.mean(np.sum(found[name] * found["float32"], axis=1)), abs=1e-6)
        program = tiny_run.out / f"{FILES[name]}.pte"
        assert row.program_bytes == program.stat().st_size
        described = np.stack([ProgramRunner(program).describe(photo) for photo in photos[::5]])
        np.testing.assert_allclose(described, found[name][::5], atol=1e-6)


def test_the_summary_is_what_was_printed_and_what_the_page_shows(tiny_run):
    summary = tiny_run.summary
    assert summary.to_json() == tiny_run.printed
    assert (tiny_run.out / "report.html").read_text() == render_report(summary)
    assert summary.app.recipe == "fitted.toml" and summary.metric == "mAP"
    paths = [str(tiny_run.plan), str(tiny_run.out)]  # with a space in them
    assert [shlex.split(text) for text in summary.commands] == [
        ["pocketvlad", "run", paths[0], "--out", paths[1]]
    ]
    assert shlex.split(summary.app.install) == ["adb", "install", "-r", f"{paths[1]}/demo.apk"]
    assert (summary.data.fit_places, summary.data.test_places, summary.data.fit_photos) == (2, 2, 6)
    assert (summary.app.photos, summary.app.visitors) == (4, 2)
    assert {row.name for row in summary.files} >= {"demo.apk", "places.pvix", "fitted.pte"}
    assert all(file_sha256(tiny_run.out / row.name) == row.sha256 for row in summary.files)


def test_the_summary_names_what_the_run_was_made_from(tiny_run):
    made = {row.stage: row.inputs for row in tiny_run.summary.stages}
    assert tiny_run.summary.plan == to_table(open_plan(tiny_run.plan).plan)
    assert tiny_run.summary.plan["model"]["seed"] == 0
    assert len(made["model"]["photos"]) == 64 and made["program fitted.toml"]["kernels"]
    assert made["index"]["program"] == file_sha256(tiny_run.out / "fitted.pte")
    assert made["package"]["index"] == file_sha256(tiny_run.out / "places.pvix")


def test_the_apk_holds_the_apps_program_and_index(tiny_run):
    with zipfile.ZipFile(tiny_run.out / "demo.apk") as apk:
        inside = {apk.read(name) for name in apk.namelist() if name.endswith((".pte", ".pvix"))}
    assert inside == {(tiny_run.out / name).read_bytes() for name in ("fitted.pte", "places.pvix")}


def test_emulated_phones_agree_where_there_is_an_emulator(tiny_run):
    if shutil.which("qemu-aarch64-static") is None:
        assert tiny_run.summary.emulated == () and any("left out" in line for line in tiny_run.lines)
        pytest.skip("no qemu: apt-get install qemu-user-static libc6-arm64-cross")
    emulated = tiny_run.summary.emulated
    assert [result["machine"] for result in emulated] == ["qemu max", "qemu cortex-a53"]
    assert all(result["passed"] for result in emulated)


def test_the_damaged_photo_is_named_once(tiny_run):
    (line,) = tiny_run.summary.skipped
    assert "broken.jpg" in line and "broken.jpg" in (tiny_run.out / "report.html").read_text()


class Again:
    """A copy of the finished run, run again in this process with something changed."""

    def __init__(self, tiny: TinyRun, folder: Path, run):
        self.tiny, self.folder, self.run = tiny, folder, run
        shutil.copytree(tiny.out, folder / "out")

    def __call__(self, recipe: str = FITTED) -> list[str]:
        """The stages that ran."""
        plan = write_plan(self.folder, datasets=f'"folder:{self.tiny.plan.parent}/photos"')
        (self.folder / "fitted.toml").write_text(recipe)
        code, _, err = self.run("run", plan, "--out", self.folder / "out", "--json")
        assert code == 0, err
        return TinyRun(plan, self.folder / "out", {}, stage_lines(err)).ran()


@pytest.fixture
def again(tiny_run, tmp_path, run) -> Again:
    return Again(tiny_run, tmp_path, run)


def test_a_second_run_keeps_every_stage(tiny_run, run):
    before = (tiny_run.out / "summary.json").read_bytes()
    code, _, err = run("run", tiny_run.plan, "--out", tiny_run.out, "--json")
    kept = stage_lines(err)
    assert code == 0 and [name_of(line) for line in kept] == [name_of(line) for line in tiny_run.lines]
    assert all("  kept  " in line for line in kept)
    assert (tiny_run.out / "summary.json").read_bytes() == before


def test_a_changed_recipe_runs_what_depends_on_it(again, tiny_run):
    assert again(FITTED.replace("bits = 6", "bits = 5")) == [
        *FITTED_STAGES, "index", "package", "latency", "profile"
    ]  # fmt: skip
    again_bytes = (again.folder / "out/paper-8bit.pte").read_bytes()
    assert again_bytes == (tiny_run.out / "paper-8bit.pte").read_bytes()


def test_a_key_with_its_default_runs_nothing(again):
    assert again(FITTED + 'pin_zero = true\nrow_scale = "none"\nsparsity = 0.0\n') == []


def test_another_app_is_packaged_again_and_nothing_else(again, tmp_path, monkeypatch):
    other = tmp_path / "another.apk"
    shutil.copy(apks.TEMPLATE, other)
    monkeypatch.setattr(apks, "TEMPLATE", other)
    assert again() == ["package"]
    assert again() == []


def test_a_lost_or_changed_file_is_made_again(again, tiny_run):
    program, index = again.folder / "out/paper-8bit.pte", again.folder / "out/places.pvix"
    program.unlink()
    index.write_bytes(b"damaged")
    assert again() == ["program paper-8bit", "index"]
    assert program.read_bytes() == (tiny_run.out / program.name).read_bytes()
    assert index.read_bytes() == (tiny_run.out / index.name).read_bytes()


@pytest.mark.slow
@fault("`run` is killed", "the same command keeps the finished stages and ends at the same bytes")
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tiny_run, tmp_path):
    plan = write_plan(tmp_path, datasets=f'"folder:{tiny_run.plan.parent}/photos"')
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    for stages in (0, 2, 4):  # finished by then, of this start
        kill_after(plan, tmp_path / "out", stages, moments.uniform(0, 6))
    finished = run_plan(plan, tmp_path / "out")
    assert len(finished.ran()) < len(finished.lines)
    assert not list((tmp_path / "out").glob(".*.part"))
    names = [f"{name}.safetensors" for name in ("model", "paper-8bit", "fitted")]
    names += ["float32.pte", "paper-8bit.pte", "fitted.pte", "model.pte", "places.pvix"]
    different = [n for n in names if (tmp_path / "out" / n).read_bytes() != (tiny_run.out / n).read_bytes()]
    assert not different


def kill_after(plan: Path, out: Path, stages: int, seconds: float) -> None:
    """Start a run and kill it some seconds after it has shown so many stages."""
    process = subprocess.Popen(
        run_command(plan, out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    shown = 0
    while shown < stages and (line := process.stderr.readline()):
        shown += line.startswith("✓")
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()


@pytest.fixture(scope="module")
def streets(tiny_run, tmp_path_factory) -> Path:
    """A home folder with a model of `fit` and photos with positions, both in places with awkward names."""
    home = tmp_path_factory.mktemp("home")
    scene_photos(home / "scenes")
    photos = sorted((home / "scenes").rglob("*.jpg"))
    for number, photo in enumerate(photos):
        side = "queries" if number % 3 == 0 else "database"
        target = home / f"street: 1/{side}/@{500_000 + 1000 * (number // 3)}.0@5400000.0@{number}@.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, target)
    lonely = home / "street: 1/queries/@900000.0@5400000.0@99@.jpg"
    shutil.copy(photos[0], lonely)
    shutil.copy(tiny_run.out / "model.safetensors", home / "our: model.safetensors")
    return home


def test_positions_say_recall_everywhere_and_a_model_of_ours_is_taken(
    streets, tiny_run, run, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(streets))
    plan = write_plan(
        tmp_path,
        model='checkpoint = "~/our: model.safetensors"\n',
        datasets='"utm:~/street: 1"',
        fit="all",
        recipes=("paper-8bit",),
    )
    code, out, err = run("run", plan, "--out", tmp_path / "out")
    assert code == 0 and "Traceback" not in err, err
    summary = TinyRun(plan, tmp_path / "out", {}, ()).summary
    page = re.sub(
        r"base64,[^\"]+", "", (tmp_path / "out/report.html").read_text()
    )  # photos may spell anything
    assert summary.metric == "Recall@1" and "Recall@1" in out and "Recall@1" in page
    evaluated = [line for line in stage_lines(err) if name_of(line).startswith("evaluate")]
    assert len(evaluated) == 2 and all("Recall@1" in line for line in evaluated)
    assert not any("mAP" in text for text in (out, err, page))
    assert "0 places" not in out
    assert any("1 of 5 queries have no positive" in line for line in summary.skipped)
    found, names = np.load(tmp_path / "out/float32.descriptors.npy"), summary.data.queries
    assert names == 5 and len(found) == 13
    best = [int(np.argmax(found[8 + asked] @ found[:8].T)) // 2 for asked in range(4)]
    assert summary.variants[0].score == pytest.approx(100 * sum(b == q for q, b in enumerate(best)) / 5)
    ours = (tiny_run.out / "float32.pte").stat().st_size
    assert summary.variants[0].program_bytes == pytest.approx(ours, rel=0.01)


def test_files_that_are_no_uncompressed_model_of_places_are_one_line(tiny_run, run, tmp_path):
    model = f'checkpoint = "{tiny_run.out}/paper-8bit.safetensors"\n'
    plan = write_plan(tmp_path, model=model, datasets=f'"folder:{tiny_run.plan.parent}/photos"')
    refused(run("run", plan, "--out", tmp_path / "out"), "compressed already")


def test_an_out_that_is_no_folder_is_one_line(tiny_run, run, tmp_path):
    file = tmp_path / "file"
    file.write_text("precious")
    refused(run("run", tiny_run.plan, "--out", file), "file is not a folder")
    refused(run("run", tiny_run.plan, "--out", file / "below"), "below")
    assert file.read_text() == "precious"


def test_a_log_that_cannot_be_trusted_is_not(tmp_path):
    from pocketvlad.pipeline.log import StageLog

    for text in ("", "[]", '{"a": 1}', '{"a": {"key": "x"}}', "\x00"):
        (tmp_path / "stages.json").write_text(text)
        assert StageLog(tmp_path).run("a", {}, [], lambda: {"made": 1}) == ({"made": 1}, True)
        assert json.loads((tmp_path / "stages.json").read_text())["a"]["figures"] == {"made": 1}

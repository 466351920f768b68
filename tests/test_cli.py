"""The command line as a user meets it: results, JSON, exit codes, one clear line for every kind of bad input."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.refusals import refused
from pocketvlad.cli import main

OUTDOOR = Path(__file__).parents[2] / "shared/data/places_outdoor"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three places with three smooth random views each, one corrupt photo among them."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for place in range(3):
        scene = random.normal(128, 60, (8, 10, 3))
        for view in range(3):
            path = folder / f"place-{place}/{view}.jpg"
            path.parent.mkdir(exist_ok=True)
            pixels = np.clip(scene + random.normal(0, 10, scene.shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((160, 120), Image.Resampling.BICUBIC).save(path)
    (folder / "place-0/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    import torchvision

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "squeezenet.pth"
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def chain(photos, weights, tmp_path_factory):
    """model, compressed, program and index files made by the commands themselves."""
    folder = tmp_path_factory.mktemp("chain")
    files = {
        name: folder / name for name in ("model.safetensors", "small.safetensors", "model.pte", "p.pvix")
    }
    model, small, program, index = files.values()
    fit = ["fit", "--backbone", "squeezenet1_1", "--weights", weights, "--photos", photos, "--clusters", 4]
    commands = [
        [*fit, "--dim", 8, "--size", "64x96", "--out", model],
        ["compress", model, "--recipe", "paper-8bit", "--out", small],
        ["export", small, "--photos", photos / "place-1", "--out", program],
        ["index", "build", program, "--photos", photos, "--out", index],
    ]
    with pytest.MonkeyPatch.context() as patch:
        for command in commands:
            patch.setattr(sys, "argv", ["pocketvlad", *map(str, command)])
            with pytest.raises(SystemExit) as ended:
                main()
            assert not ended.value.code
    return files


def test_the_steps_make_files_that_answer(chain, photos, run):
    program, index = chain["model.pte"], chain["p.pvix"]
    code, out, _ = run("index", "search", index, photos / "place-2/0.jpg", "--program", program, "--json")
    best = json.loads(out)["queries"][0]["matches"][0]
    assert code == 0 and best["place"] == "place-2" and best["cosine"] > 0.99
    code, out, _ = run("index", "info", index, "--json")
    assert json.loads(out)["photos"] == 9  # the corrupt one was skipped
    code, out, _ = run(
        "evaluate", program, "--dataset", photos, "--json", "--baseline", chain["model.safetensors"]
    )
    values = json.loads(out)
    assert values["queries"] == 9 and 0 < values["mAP"] <= 1
    assert any("broken.jpg" in line for line in values["skipped"])
    assert values["difference"]["low"] <= values["difference"]["mean"] <= values["difference"]["high"]


def test_descriptors_are_hlocs(chain, photos, run, tmp_path):
    import h5py

    code, out, _ = run(
        "describe", chain["model.pte"], "--photos", photos, "--out", tmp_path / "d.h5", "--json"
    )
    assert code == 0 and json.loads(out)["photos"] == 9
    with h5py.File(tmp_path / "d.h5") as file:
        descriptor = file["place-1/0.jpg"]["global_descriptor"][()]
    assert descriptor.shape == (8,) and abs(np.linalg.norm(descriptor) - 1) < 1e-5


def test_photos_join_an_index(chain, photos, run, tmp_path):
    index = tmp_path / "grown.pvix"
    index.write_bytes(chain["p.pvix"].read_bytes())
    new = tmp_path / "new/place-9"
    new.mkdir(parents=True)
    Image.effect_noise((160, 120), 80).convert("RGB").save(new / "a.jpg")
    add = ("index", "add", index, "--program", chain["model.pte"], "--photos", tmp_path / "new")
    code, out, _ = run(*add, "--json")
    assert code == 0 and json.loads(out)["photos"] == 10
    before = index.read_bytes()
    refused(run(*add), "in the index already", "--replace")
    assert index.read_bytes() == before
    assert run(*add, "--replace")[0] == 0


def test_an_output_is_never_overwritten_unasked(chain, run, tmp_path):
    out = tmp_path / "exists.safetensors"
    out.write_text("precious")
    refused(run("compress", chain["model.safetensors"], "--out", out, "--recipe", "paper-8bit"), "--force")
    assert out.read_text() == "precious"


def test_an_index_of_another_model_is_refused(chain, photos, run, tmp_path):
    other = tmp_path / "other.pte"
    assert run("export", chain["small.safetensors"], "--semantics", "exact", "--out", other)[0] == 0
    search = ("index", "search", chain["p.pvix"], photos / "place-0/0.jpg", "--program", other)
    refused(run(*search), "another model")
    refused(
        run("package", "--program", other, "--index", chain["p.pvix"], "--out", tmp_path / "a.apk"), "another"
    )
    assert not (tmp_path / "a.apk").exists()


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


def test_bad_recipes_and_options(run, chain, tmp_path):
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
    refused(run("evaluate", tmp_path / "no.pte", "--dataset", tmp_path), "does not exist")
    assert run("compress")[0] == 2 and run("no-such-command")[0] == 2


def test_damaged_programs_and_packages(run, chain, tmp_path):
    damaged = tmp_path / "cut.pte"
    damaged.write_bytes(chain["model.pte"].read_bytes()[:1000])
    refused(run("bench", damaged), "cut.pte")
    (tmp_path / "a.apk").write_bytes(b"PK")
    refused(run("package", "--check", tmp_path / "a.apk"), "not a readable APK")


def test_a_bench_times_every_op(run, chain):
    code, out, _ = run("bench", chain["model.pte"], "--runs", 3, "--profile", "--json")
    (ops,) = json.loads(out)["ops"].values()
    ours = {op["op"]: op["calls"] for op in ops if op["by"] == "pocketvlad"}
    assert code == 0 and ours == {"lut_conv2d": 25, "lut_linear": 1, "vlad_pool": 1}
    assert sum(op["share"] for op in ops) == pytest.approx(1) and all(op["ms"] >= 0 for op in ops)
    assert {"XNNPACK", "ExecuTorch"} <= {op["by"] for op in ops} and ops[-1]["op"] == "between the ops"


def test_a_missing_compiler_is_one_line(run, chain, photos, tmp_path, monkeypatch):
    """In a fresh cache and with no program on the path, kernels cannot be built."""
    import subprocess

    environment = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "pocketvlad", "bench", str(chain["model.pte"])]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "compiler" in result.stderr and "apt-get install" in result.stderr


def test_the_doctor_lists_tools(run):
    code, out, _ = run("doctor", "--json")
    tools = {tool["tool"]: tool for tool in json.loads(out)["tools"]}
    assert code == 0 and tools["python"][""] == "ok" and "adb" in tools


@pytest.mark.skipif(not OUTDOOR.is_dir(), reason=f"no real photos at {OUTDOOR}")
def test_real_photos_are_read_and_ranked(run, chain):
    code, out, _ = run("evaluate", chain["model.pte"], "--dataset", OUTDOOR, "--json")
    assert code == 0 and json.loads(out)["queries"] == 112


def test_a_program_of_other_ops_is_refused(run, chain, tmp_path, monkeypatch):
    from pocketvlad.lut import ops

    monkeypatch.setattr(ops, "VERSION", ops.VERSION + 1)
    other = tmp_path / "other.pte"
    assert run("export", chain["small.safetensors"], "--out", other)[0] == 0
    monkeypatch.undo()
    result = run_again(other)
    assert result.returncode == 1 and "other lookup ops" in result.stderr and "Traceback" not in result.stderr


def run_again(program: Path):
    """`pocketvlad bench` in a process of its own: the runtime would abort this one if the check failed."""
    import subprocess

    command = [sys.executable, "-m", "pocketvlad", "bench", str(program)]
    return subprocess.run(command, capture_output=True, text=True, check=False)

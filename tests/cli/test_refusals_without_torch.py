"""What is wrong with a command's files is said before torch is loaded: here it cannot be."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from helpers.photos import write_places
from helpers.runs import write_plan
from helpers.without_torch import RUN

HEAVY = "torch torchvision torchao executorch sklearn scipy matplotlib"


class Code:
    def __reduce__(self):
        return os.mkdir, ("code-was-here",)


def zipped(content):
    """As torch.save packs a pickle."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3")
    return found.getvalue()


def write_checkpoints(folder):
    """Files that are none, each with the words that say so."""
    whole = folder / "whole.npz"
    np.savez(whole, a=np.zeros(1000))
    save_file({"a": np.zeros(1000)}, folder / "cut.safetensors")
    files = {
        "empty.pth": (b"", "is empty"),
        "page.pth": (b"<!DOCTYPE html>", "a web page"),
        "words.pth": (b"just some words", "is not a checkpoint"),
        "cut.pth": (whole.read_bytes()[:600], "is damaged"),
        "code.pth": (pickle.dumps({"state_dict": Code()}), "would run code"),
        "zipped-code.pth": (zipped(pickle.dumps({"model": Code()}, 2)), "would run code when loaded"),
        "cut.safetensors": ((folder / "cut.safetensors").read_bytes()[:600], "is damaged"),
    }
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    return {name: words for name, (_, words) in files.items()} | {"none.pth": "does not exist"}


@pytest.fixture(scope="module")
def here(chain, tmp_path_factory):
    """A folder with files that are right and files that are not."""
    folder = tmp_path_factory.mktemp("refusals")
    write_places(folder / "photos", places=2, views=2)
    (folder / "bare").mkdir()
    for name in ("model.safetensors", "small.safetensors", "model.pte", "p.pvix"):
        shutil.copy(chain[name], folder / name)
    (folder / "cut-model.safetensors").write_bytes(chain["model.safetensors"].read_bytes()[:5000])
    (folder / "there").write_text("precious")
    (folder / "bad.toml").write_text("version = 1\nbitz = 4\n")
    return folder


def cases(here):
    """Commands and the words of their refusals."""
    found = {}
    fit = ["fit", "--backbone", "squeezenet1_1", "--photos", "photos", "--out", "m"]
    for name, words in write_checkpoints(here).items():
        found[f"import {name}"] = ["import", name, "--out", "m"], words
        found[f"fit {name}"] = [*fit, "--weights", name], words
        plan = write_plan(folder_of(here, name), model=f'checkpoint = "../{name}"\n', datasets='"../photos"')
        found[f"run {name}"] = ["run", plan, "--out", "o"], words
    for name, words in {
        "none": "does not exist",
        "cut-model.safetensors": "is not a readable safetensors file",
        "whole.npz": "is not a readable safetensors file",
    }.items():
        for command in ("compress", "whiten", "export", "describe", "evaluate"):
            photos = "--dataset" if command == "evaluate" else "--photos"
            out = [] if command == "evaluate" else ["--out", "d.h5"]
            found[f"{command} {name}"] = [command, name, photos, "photos", *out], words
    for command, model in {
        "fit": ["--backbone", "squeezenet1_1"],
        "whiten": ["model.safetensors"],
        "compress": ["model.safetensors"],
        "export": ["model.safetensors"],
        "describe": ["model.safetensors"],
        "index build": ["model.pte"],
    }.items():
        words = [*command.split(), *model]
        out = "there.h5" if command == "describe" else "there"
        found[f"{command} without photos"] = [*words, "--photos", "bare", "--out", "d.h5"], "no photo"
        found[f"{command} onto a file"] = [*words, "--photos", "photos", "--out", out], "exists already"
    shutil.copy(here / "there", here / "there.h5")
    return found | other_cases(here) | mistyped(here)


def mistyped(here):
    """Names and numbers that there are not."""
    fit = ["fit", "--photos", "photos", "--out", "m", "--backbone"]
    load = ["import", "model.safetensors", "--out", "m"]
    whiten = ["whiten", "model.safetensors", "--photos", "photos", "--out", "m"]
    reproduce = ["reproduce", "--train", "photos", "--test", "photos", "--out", "o", "--backbone"]
    backbone = write_plan(folder_of(here, "5"), model='backbone = "vgg61"\n', datasets='"../photos"')
    head = write_plan(
        folder_of(here, "6"), model='backbone = "vgg16"\nhead = "netvald"\n', datasets='"../photos"'
    )
    strength = write_plan(
        folder_of(here, "7"), model='backbone = "vgg16"\nwhitening = "strong"\n', datasets='"../photos"'
    )
    return {
        "backbone": ([*fit, "vgg61"], "did you mean 'vgg16'"),
        "head": ([*fit, "vgg16", "--head", "netvald"], "did you mean 'netvlad'"),
        "dim": ([*fit, "vgg16", "--dim", "many"], "allowed: auto, 1 or more"),
        "strength": ([*fit, "vgg16", "--whitening", "7"], "allowed: auto, full, pca, 0 to 1"),
        "layout": ([*load, "--layout", "mixvrp"], "did you mean 'mixvpr'"),
        "as": ([*load, "--as", "backbone"], "allowed: model, classifier"),
        "preprocess": ([*load, "--preprocess", "hlok"], "did you mean 'hloc'"),
        "whiten's dim": ([*whiten, "--dim", "-1"], "allowed: auto, 1 or more"),
        "reproduce's backbone": ([*reproduce, "vgg61"], "did you mean 'vgg16'"),
        "reproduce's match": ([*reproduce, "vgg16", "--match", "both"], "allowed: thresholds, pruned"),
        "plan's backbone": (["run", backbone, "--out", "o"], "did you mean 'vgg16'"),
        "plan's head": (["run", head, "--out", "o"], "did you mean 'netvlad'"),
        "plan's strength": (["run", strength, "--out", "o"], "allowed: auto, full, pca, 0 to 1"),
    }


def other_cases(here):
    """What only one command may be refused for."""
    plans = {
        "no photos": write_plan(folder_of(here, "1"), datasets='"none"'),
        "no recipe": write_plan(folder_of(here, "2"), datasets='"../photos"', recipes=("compact8x",)),
        "compressed": write_plan(
            folder_of(here, "3"), model='checkpoint = "../small.safetensors"\n', datasets='"../photos"'
        ),
        "right": write_plan(folder_of(here, "4"), datasets='"../photos"'),
    }
    reproduce = ["reproduce", "--backbone", "alexnet", "--train", "photos", "--out", "o", "--test"]
    return {
        "our own file": (["import", "model.safetensors", "--out", "m"], "is a pocketvlad model file already"),
        "compressed": (["compress", "small.safetensors", "--out", "m"], "is compressed already"),
        "whitened": (
            ["whiten", "small.safetensors", "--photos", "photos", "--out", "m"],
            "is compressed already",
        ),
        "recipe": (["compress", "model.safetensors", "--recipe", "bad.toml", "--out", "m"], "bitz"),
        "no recipe": (["compress", "model.safetensors", "--recipe", "compact8x", "--out", "m"], "compact-8x"),
        "size": (["export", "model.safetensors", "--size", "big", "--out", "m"], "480x640"),
        "kind": (["evaluate", "model.pte", "--dataset", "foldr:photos"], "did you mean 'folder'"),
        "no program": (
            ["index", "build", "model.safetensors", "--photos", "photos", "--out", "i"],
            "not a program",
        ),
        "no index": (["index", "info", "model.pte"], "model.pte"),
        "no APK": (["package", "--check", "model.pte"], "not a readable APK"),
        "no plan": (["run", "none.toml", "--out", "o"], "does not exist"),
        "other plan": (["run", "bad.toml", "--out", "o"], "bitz"),
        "plan without photos": (["run", plans["no photos"], "--out", "o"], "does not exist"),
        "plan without recipe": (["run", plans["no recipe"], "--out", "o"], "compact-8x"),
        "plan of a compressed model": (["run", plans["compressed"], "--out", "o"], "compressed already"),
        "run into a file": (["run", plans["right"], "--out", "there"], "is not a folder"),
        "reproduce": ([*reproduce, "none"], "does not exist"),
        "reproduce weights": ([*reproduce, "photos", "--weights", "there"], "is not a checkpoint"),
    }


def folder_of(here, name):
    (here / f"plan-{name}").mkdir()
    return here / f"plan-{name}"


def test_every_refusal_comes_before_torch(here):
    commands = cases(here)
    given = json.dumps([[str(word) for word in command] for command, _ in commands.values()])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", RUN, HEAVY, given], cwd=here, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    wrong = {}
    for (name, (_, words)), (code, out, err) in zip(commands.items(), json.loads(done.stdout), strict=True):
        lines = [line for line in err.splitlines() if line.startswith("error")]
        if code != 1 or out or len(lines) != 1 or words not in lines[0]:
            wrong[name] = (words, code, out, err)
    assert not wrong, wrong
    assert not (here / "code-was-here").exists()

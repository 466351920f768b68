"""What needs a program alone runs where torch is not installed, with the descriptors of everywhere else."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from helpers.without_torch import RUN

REFUSED = "torch torchvision torchao sklearn scipy h5py matplotlib safetensors executorch.extension pandas"


def light(*commands, cwd):
    """Each command's (exit code, stdout, stderr), all in one process that has numpy, Pillow and the runtime."""
    given = json.dumps([[str(word) for word in command] for command in commands])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", RUN, REFUSED, given], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [tuple(each) for each in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def answers(photos, chain, tmp_path_factory):
    """Of every command that a program is enough for."""
    folder = tmp_path_factory.mktemp("light")
    (folder / "damaged.pte").write_bytes(b"no program")
    program, photo = chain["model.pte"], photos / "place-1/0.jpg"
    commands = {
        "describe": ["describe", program, "--photos", photos, "--out", "d.npz", "--json"],
        "build": ["index", "build", program, "--photos", photos, "--out", "p.pvix", "--json"],
        "info": ["index", "info", "p.pvix", "--json"],
        "search": ["index", "search", "p.pvix", photo, "--program", program, "--json"],
        "export": ["index", "export", "p.pvix", "--numpy", "p.npz", "--faiss", "p.faiss", "--json"],
        "pairs": [
            "index",
            "pairs",
            "p.pvix",
            "--program",
            program,
            "--photos",
            photos,
            "--out",
            "pairs.txt",
            "--json",
        ],
        "evaluate": ["evaluate", program, "--dataset", photos, "--json"],
        "bench": ["bench", program, "--runs", "1", "--json"],
        "doctor": ["doctor", "--json"],
        "no APK": ["package", "--check", program],
        "damaged index": ["index", "info", program],
        "damaged program": ["describe", "damaged.pte", "--photos", photos, "--out", "e.npz"],
        "compress": ["compress", chain["model.safetensors"], "--out", "c.safetensors"],
        "h5": ["describe", program, "--photos", photos, "--out", "d.h5"],
    }
    return folder, dict(zip(commands, light(*commands.values(), cwd=folder), strict=True))


def test_a_program_describes_and_searches(answers, run, photos, chain, tmp_path):
    folder, found = answers
    failed = {name: each for name, each in found.items() if each[0]}
    assert set(failed) == {"no APK", "damaged index", "damaged program", "compress", "h5"}, failed
    here = tmp_path / "d.npz"
    assert run("describe", chain["model.pte"], "--photos", photos, "--out", here)[0] == 0
    with np.load(folder / "d.npz") as light_one, np.load(here) as full:
        assert light_one["names"].tolist() == full["names"].tolist() and len(full["names"]) == 9
        assert np.array_equal(light_one["descriptors"], full["descriptors"])
    for name in ("info", "search", "export", "pairs", "evaluate"):
        code, out, _ = found[name]
        assert code == 0 and json.loads(out), name
    assert (folder / "p.pvix").read_bytes() == chain["p.pvix"].read_bytes()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("compress", ("safetensors is missing", "pip install 'pocketvlad[workstation]'")),
        ("h5", ("h5py is missing", "pip install 'pocketvlad[workstation]'")),
        ("no APK", ("is not a readable APK",)),
        ("damaged index", ("model.pte",)),
        ("damaged program", ("damaged.pte",)),
    ],
)
def test_what_needs_more_is_one_line(answers, command, words):
    code, out, err = answers[1][command]
    lines = [line for line in err.splitlines() if line.startswith("error")]
    assert code == 1 and not out and len(lines) == 1 and "Traceback" not in err, err
    for word in words:
        assert word in lines[0]


def test_the_public_names_that_need_no_torch():
    script = """
import pocketvlad as pv
pv.open_program, pv.open_index, pv.build_index, pv.Places, pv.Program, pv.evaluate, pv.package
try:
    pv.load("none.safetensors")
except pv.PocketvladError as error:
    assert "pip install 'pocketvlad[workstation]'" in str(error), error
else:
    raise AssertionError
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", RUN, REFUSED, "[]", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

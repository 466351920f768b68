"""The wheel in an environment of its own that has no torch: what a robot installs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from helpers.packages import small_model
from helpers.photos import write_places
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import load_recipe
from pocketvlad.export.program import export_program
from pocketvlad.steps import describe

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NO_NETWORK = (
    "Connection",
    "timed out",
    "Name or service",
    "No matching distribution",
    "Network is unreachable",
)


def command(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run it away from this checkout and its packages."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    given = [str(word) for word in words]
    return subprocess.run(given, cwd=cwd, env=environment, capture_output=True, text=True)


def pip(python: Path, *words: object) -> None:
    """Install into another environment; skipped by name where the index of packages cannot be reached."""
    options = ("--quiet", "--no-compile", "--constraint", ROOT / "constraints.txt")
    done = command(sys.executable, "-m", "pip", "--python", python, "install", *options, *words)
    if done.returncode and any(each in done.stderr for each in NO_NETWORK):
        pytest.skip(f"no package index: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def robot(tmp_path_factory) -> Path:
    """The command in an environment with the wheel, what it asks for, and ExecuTorch's wheel alone."""
    folder = tmp_path_factory.mktemp("robot")
    source = folder / "source"  # a build leaves its files beside what it builds
    for name in ("toolkit", "android_demo", "calibration"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "build"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source]
    if find_spec("setuptools") and int(metadata.version("setuptools").partition(".")[0]) >= 77:
        build.insert(3, "--no-build-isolation")
    built = command(sys.executable, *build)
    if built.returncode and any(each in built.stderr for each in NO_NETWORK):
        pytest.skip(f"no package index: {built.stderr.strip().splitlines()[-1]}")
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("pocketvlad-*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env/bin/python"
    pip(python, *PROJECT["dependencies"])
    pip(python, "--no-deps", wheel, *PROJECT["optional-dependencies"]["runtime"])
    return folder / "env/bin/pocketvlad"


@pytest.mark.slow
def test_it_describes_and_searches_with_the_same_bits(robot, tmp_path):
    missing = command(robot.parent / "python", "-c", "import torch")
    assert "No module named 'torch'" in missing.stderr
    photos, program = write_places(tmp_path / "photos", places=3, views=2), tmp_path / "model.pte"
    export_program(compress_network(small_model(), load_recipe("paper-8bit")), program)
    describe.describe(program, photos, tmp_path / "here.npz")
    for words in (
        ("describe", "model.pte", "--photos", "photos", "--out", "there.npz"),
        ("index", "build", "model.pte", "--photos", "photos", "--out", "p.pvix"),
        ("index", "search", "p.pvix", "photos/place-1/view-0.jpg", "--program", "model.pte"),
        ("evaluate", "model.pte", "--dataset", "photos"),
    ):
        done = command(robot, *words, cwd=tmp_path)
        assert done.returncode == 0, (words, done.stderr)
    with np.load(tmp_path / "here.npz") as here, np.load(tmp_path / "there.npz") as there:
        assert np.array_equal(here["descriptors"], there["descriptors"])
    refused = command(robot, "compress", "model.safetensors", "--out", "c.safetensors", cwd=tmp_path)
    assert refused.returncode == 1 and refused.stderr.startswith("error"), refused.stderr

"""The wheel in an environment of its own that has no torch: what a robot installs."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from helpers.installed import ROOT, command, distributions, install_runtime, smoke
from helpers.packages import small_model
from helpers.photos import write_places
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import load_recipe
from pocketvlad.export.program import export_program
from pocketvlad.steps import describe


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Of the source distribution."""
    return distributions(tmp_path_factory.mktemp("dist"))[1]


@pytest.fixture(scope="module")
def robot(wheel, tmp_path_factory) -> Path:
    """The command in an environment of its own."""
    return install_runtime(wheel, tmp_path_factory.mktemp("robot") / "env")


def test_the_source_distribution_has_all_that_the_wheel_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        found = set(archive.namelist())
    package = (
        p for p in (ROOT / "toolkit/pocketvlad").rglob("*") if p.is_file() and "__pycache__" not in p.parts
    )
    data = (ROOT / "toolkit/kernels", ROOT / "calibration", ROOT / "android_demo/app/src")
    wanted = {str(path.relative_to(ROOT / "toolkit")) for path in package}
    for folder in data:
        base = ROOT / "toolkit" if folder.name == "kernels" else ROOT
        wanted |= {
            f"pocketvlad/_data/{path.relative_to(base)}"
            for path in folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
    assert not wanted - found, sorted(wanted - found)[:10]


@pytest.mark.slow
def test_it_describes_and_searches_with_the_same_bits(robot, tmp_path):
    missing = command(robot.parent / "python", "-c", "import torch")
    assert "No module named 'torch'" in missing.stderr
    photos, program = write_places(tmp_path / "photos", places=3, views=2), tmp_path / "model.pte"
    export_program(compress_network(small_model(), load_recipe("paper-8bit")), program)
    describe.describe(program, photos, tmp_path / "here.npz")
    smoke(robot, tmp_path)
    with np.load(tmp_path / "here.npz") as here, np.load(tmp_path / "there.npz") as there:
        assert np.array_equal(here["descriptors"], there["descriptors"])
    refused = command(robot, "compress", "model.safetensors", "--out", "c.safetensors", cwd=tmp_path)
    assert refused.returncode == 1 and refused.stderr.startswith("error"), refused.stderr

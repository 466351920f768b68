"""`pocketvlad run` on a tiny plan: photos, plan, and the command as a user starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import pocketvlad
from pocketvlad.errors import ArtifactError
from pocketvlad.report.summary import ReportSummary
from pocketvlad.schema import from_table

TOOLKIT = Path(pocketvlad.__file__).parents[1]
PLACES, VIEWS = 4, 3
RECIPES = ("paper-8bit", "fitted.toml")
FITTED = """version = 1
name = "fitted"
[layer]
bits = 6
calibrate = "gptq"
"""
MODEL = 'backbone = "squeezenet1_1"\nclusters = 4\ndim = 16\nheight = 64\nwidth = 96\n'


@dataclass(frozen=True)
class TinyRun:
    """A finished run: its plan, its folder, what it printed as JSON, and its stages' lines."""

    plan: Path
    out: Path
    printed: dict[str, Any]
    lines: tuple[str, ...]

    @property
    def summary(self) -> ReportSummary:
        """As ``summary.json`` has it."""
        table = json.loads((self.out / "summary.json").read_text())
        return from_table(ReportSummary, table, "summary.json", ArtifactError)

    def ran(self) -> list[str]:
        """Names of the stages that were not kept."""
        return [name_of(line) for line in self.lines if "  kept  " not in line]


def name_of(line: str) -> str:
    """``✓ compress paper-8bit      3.1 s  …`` -> ``compress paper-8bit``."""
    return line[2:].split("  ")[0].strip().removesuffix(" kept")


def scene_photos(folder: Path, places: int = PLACES, views: int = VIEWS) -> list[Path]:
    """A sub-folder per place; views of a place differ by a crop and some noise."""
    random, found = np.random.default_rng(0), []
    for place in range(places):
        scene = Image.fromarray(random.integers(0, 256, (9, 13, 3), np.uint8))
        scene = scene.resize((240, 160), Image.Resampling.BICUBIC)
        for view in range(views):
            left, top = random.integers(0, 24, 2)
            pixels = np.asarray(scene.crop((left, top, left + 200, top + 134)), np.float32)
            noisy = np.clip(pixels + random.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)
            path = folder / f"place-{place}/{view}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noisy).save(path, quality=92)
            found.append(path)
    return found


def write_plan(
    folder: Path,
    *,
    model: str = MODEL,
    datasets: str = '"folder:photos"',
    fit: str = "even",
    recipes: tuple[str, ...] = RECIPES,
    emulate: bool = False,
) -> Path:
    """A plan in ``folder``, with the recipe ``fitted.toml`` beside it."""
    (folder / "fitted.toml").write_text(FITTED)
    path = folder / "plan.toml"
    path.write_text(
        f"version = 1\n[model]\n{model}[photos]\ndatasets = [{datasets}]\nfit = {fit!r}\n"
        f'[compress]\nrecipes = {json.dumps(recipes)}\n[app]\ntitle = "Tiny <places> & more"\n'
        f"emulate = {str(emulate).lower()}\n"
    )
    return path


def run_command(plan: Path, out: Path) -> list[str]:
    """The command line of a run."""
    return [sys.executable, "-m", "pocketvlad", "run", str(plan), "--out", str(out), "--json"]


def environment() -> dict[str, str]:
    """Of a process of its own that finds this checkout."""
    return {**os.environ, "PYTHONPATH": str(TOOLKIT), "COLUMNS": "200"}


def run_plan(plan: Path, out: Path) -> TinyRun:
    """Run it in a process of its own; it must succeed."""
    done = subprocess.run(
        run_command(plan, out), capture_output=True, text=True, check=False, env=environment()
    )
    assert done.returncode == 0, done.stderr
    return TinyRun(plan, out, json.loads(done.stdout), stage_lines(done.stderr))


def stage_lines(text: str) -> tuple[str, ...]:
    """The lines of finished stages in what a run wrote to stderr."""
    return tuple(line for line in text.splitlines() if line.startswith("✓"))

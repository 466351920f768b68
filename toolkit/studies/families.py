r"""Every family of recognisers the whole way at full size: imported, compressed, exported, run.

Their trained weights are not at hand: the checkpoints are made, with random weights in each project's layout, batch
norms with the statistics of photos. Random weights are harder to compress than trained ones, and say nothing of
accuracy. Half of the places calibrate; descriptors of photos of the other half are compared with the float32 program's,
their mean taken off first (random networks describe every photo nearly alike). The bound is that of one layer of
Gaussian weights at the file's bits: no code of R bits a weight has a relative squared error below 4^-R, so its outputs'
cosine is sqrt(1 - 4^-R) at best, unless the inputs leave directions free. Each step is the command of the command line
in a process of its own, whose peak memory is its own. What is there already is kept:

    PYTHONPATH=toolkit .venv/bin/python -m studies.families --photos folder:outdoor --only cosplace-r18-512
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from bench.loading import cold_start, evict
from pocketvlad.dataset import Dataset, open_dataset
from pocketvlad.errors import RecipeError
from pocketvlad.model.preprocess import Preprocess, photo_tensor
from pocketvlad.runtime.runner import ProgramRunner
from studies.command import publish, study_parser
from studies.contenders import OUT
from studies.recognisers import FAMILIES, Family

RECIPES = ("compact-8x", "compact-16x")
STARTS = 3
COLUMNS = (
    "model",
    "recipe",
    "MB",
    "smaller",
    "bits a weight",
    "cosine, centred",
    "bound",
    "compressed in s",
    "peak GB",
    "first answer, ms",
    "float32's",
    "anonymous MB",
    "float32's ",
)


@dataclass(frozen=True)
class Row:
    """One compressed program.

    Attributes:
        family, recipe: which.
        mb, ratio: of the program, and how many times the float32 program's bytes are.
        bits: of a weight, 32 / ratio.
        centred, cosine: to the float32 program's descriptors, without their mean and with it.
        compress_s, peak_gb: of ``pocketvlad compress``.
        first_ms, float_first_ms: from loading to the first answer in a new process, the file on the disk alone.
        anonymous_mb, float_anonymous_mb: memory it takes beside the mapped file.
    """

    family: str
    recipe: str
    mb: float
    ratio: float
    bits: float
    centred: float
    cosine: float
    compress_s: float
    peak_gb: float
    first_ms: float
    float_first_ms: float
    anonymous_mb: float
    float_anonymous_mb: float

    def cells(self) -> tuple[str, ...]:
        """By ``COLUMNS``."""
        return (
            self.family,
            f"`{self.recipe}`",
            f"{self.mb:.1f}",
            f"{self.ratio:.1f}x",
            f"{self.bits:.2f}",
            f"{self.centred:.4f}",
            f"{bound(self.bits):.4f}",
            f"{self.compress_s:.0f}",
            f"{self.peak_gb:.1f}",
            f"{self.first_ms:.0f}",
            f"{self.float_first_ms:.0f}",
            f"{self.anonymous_mb:.0f}",
            f"{self.float_anonymous_mb:.0f}",
        )


def bound(bits: float) -> float:
    """The best cosine of a layer's outputs at so many bits for a Gaussian weight (Shannon's rate-distortion)."""
    return math.sqrt(1 - 4**-bits)


def centred_cosines(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Of each row of float32 [n, dim] to its own, after the mean of ``wanted`` is taken off both."""
    mean = wanted.mean(axis=0)
    return cosines(found - mean, wanted - mean)


def cosines(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Of each row to its own, float32 [n]."""
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    return (found * wanted).sum(axis=1) / np.maximum(lengths, 1e-12)


class Chain:
    """One family's files in a folder; a step whose file is there is not run again."""

    def __init__(self, family: Family, folder: Path, photos: Photos, threads: int):
        self.family, self.folder, self.photos, self.threads = family, folder, photos, threads
        folder.mkdir(parents=True, exist_ok=True)

    def row(self, recipe: str, *, starts: bool = False) -> Row:
        """Of a recipe's program, measured once; ``starts``: but for the first answers, which are measured again."""
        kept = self.folder / f"{recipe}.json"
        if not kept.exists():
            kept.write_text(json.dumps(asdict(self._measured(recipe))))
        elif starts:
            again = self._starts(self.folder / f"{recipe}.pte", self.folder / "float32.pte")
            kept.write_text(json.dumps(json.loads(kept.read_text()) | again))
        return Row(**json.loads(kept.read_text()))

    def _starts(self, program: Path, plain: Path) -> dict[str, float]:
        """First answers of both programs from the disk by turns, each in a process of its own; medians."""
        both, size = {"": program, "float_": plain}, self.family.size
        turns = list[dict[str, dict[str, float]]]()
        for _ in range(STARTS):
            for path in both.values():
                evict(path)
            turns.append({key: cold_start(path, self.threads, *size) for key, path in both.items()})
        found = {}
        for key in both:
            found[f"{key}first_ms"] = 1e3 * median(turn[key]["seconds"] for turn in turns)
            found[f"{key}anonymous_mb"] = median(turn[key]["anonymous"] for turn in turns) / 1e6
        return found

    def _measured(self, recipe: str) -> Row:
        compressed, program = self.folder / f"{recipe}.safetensors", self.folder / f"{recipe}.pte"
        log = self.folder / f"{recipe}.compress.json"
        plain, wanted = self._float32()
        arguments = ["--recipe", recipe, "--photos", self.photos.calibration, "--out", str(compressed)]
        if not log.exists():
            seconds, peak = command("compress", str(self.model()), *arguments, "--force")
            log.write_text(json.dumps({"seconds": seconds, "peak": peak}))
        command("export", str(compressed), "--out", str(program), "--force")
        found, spent = self._described(program), json.loads(log.read_text())
        ratio = plain.stat().st_size / program.stat().st_size
        return Row(
            self.family.name,
            recipe,
            program.stat().st_size / 1e6,
            ratio,
            32 / ratio,
            float(centred_cosines(found, wanted).mean()),
            float(cosines(found, wanted).mean()),
            spent["seconds"],
            spent["peak"] / 1e9,
            **self._starts(program, plain),
        )

    def model(self) -> Path:
        """The made checkpoint, imported."""
        model, checkpoint = self.folder / "model.safetensors", self.folder / "checkpoint.pth"
        if not model.exists():
            torch.manual_seed(0)
            torch.save(self.family.make(self.photos.batches(self.family.size)), checkpoint)
            size = "x".join(map(str, self.family.size))
            command("import", str(checkpoint), "--out", str(model), "--size", size)
            checkpoint.unlink()
        return model

    def _float32(self) -> tuple[Path, np.ndarray]:
        """The uncompressed program and its descriptors."""
        program, kept = self.folder / "float32.pte", self.folder / "float32.npy"
        if not program.exists():
            command("export", str(self.model()), "--out", str(program))
        if not kept.exists():
            np.save(kept, self._described(program))
        return program, np.load(kept)

    def _described(self, program: Path) -> np.ndarray:
        runner = ProgramRunner(program, threads=self.threads)
        return np.stack([runner.describe(path) for path in self.photos.test])


class Photos:
    """Half of a dataset's places to calibrate on, some photos of the others to test on."""

    def __init__(self, dataset: Dataset, out: Path, calibrating: int, testing: int):
        fitting, held_out = dataset.split("even"), dataset.split("odd")
        self.paths = _spread(fitting, calibrating)
        self.test = _spread(held_out, testing)
        folder = out / f"calibration-{len(self.paths)}"
        for number, path in enumerate(self.paths):
            link = folder / "all" / f"{number:03}{path.suffix}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(path.resolve())
        self.calibration = f"folder:{folder}"

    def batches(self, size: tuple[int, int], count: int = 8) -> list[torch.Tensor]:
        """Some of the calibrating photos for the statistics of batch norms, in batches of 4."""
        tensors = [torch.from_numpy(photo_tensor(path, Preprocess(*size))) for path in self.paths[:count]]
        return list(torch.stack(tensors).split(4))


def _spread(dataset: Dataset, count: int) -> list[Path]:
    paths = [photo.path for photo in dataset.photos]
    return paths[:: max(1, -(-len(paths) // count))]


def command(*arguments: str) -> tuple[float, int]:
    """Run ``pocketvlad``: seconds and peak bytes.

    Raises:
        RecipeError: it failed; with what it said.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pocketvlad", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    said = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RecipeError(f"pocketvlad {arguments[0]} failed", found=said.decode()[-2000:])
    return time.perf_counter() - start, usage.ru_maxrss * 1024


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    photos = Photos(open_dataset(options.photos), options.out, options.calibrate, options.test)
    rows, figures = [], list[dict[str, Any]]()
    for name in options.only:
        chain = Chain(FAMILIES[name], options.out / name, photos, options.threads)
        for recipe in options.recipes:
            row = chain.row(recipe, starts=options.starts)
            rows.append(row.cells())
            figures.append({**asdict(row), "bound": bound(row.bits)})
            print(*row.cells(), sep="  ", file=sys.stderr)
    data = (
        f"random weights; {len(photos.test)} photos of places that calibrated nothing, "
        f"{len(photos.paths)} calibrated; {options.threads} threads"
    )
    publish(
        options.out / "families.json",
        COLUMNS,
        rows,
        title=f"the recognisers at full size; {data}",
        data=data,
        module="studies.families",
        arguments=arguments,
        width=170,
        figures=figures,
    )


def _parser() -> argparse.ArgumentParser:
    parser = study_parser("studies.families", __doc__)
    parser.add_argument("--photos", required=True, help="KIND:PATH of known places")
    parser.add_argument("--only", nargs="+", choices=list(FAMILIES), default=list(FAMILIES), metavar="NAME")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--calibrate", type=int, default=32, help="photos that calibrate")
    parser.add_argument("--test", type=int, default=24, help="photos that are described")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--starts", action="store_true", help="measure first answers again")
    parser.add_argument("--out", type=Path, default=OUT / "families")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])

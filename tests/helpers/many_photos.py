"""Many small photos, and a describer that costs little: what is tested is how many are handled."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from pocketvlad.dataset import Photo


def write_many(folder: Path, count: int, *, side: int = 24, places: int = 40) -> None:
    """``count`` JPEGs in folders of places; those of a place are alike. Written again they are the same bytes."""
    for number in range(count):
        place = number % places
        scene = np.random.default_rng(place).integers(0, 256, (4, 4, 3))
        noise = np.random.default_rng(10_000 + number).integers(-20, 21, (4, 4, 3))
        small = Image.fromarray(np.clip(scene + noise, 0, 255).astype(np.uint8))
        path = folder / f"place-{place:03}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small.resize((side, side), Image.Resampling.BICUBIC).save(path, quality=90)


def ends_at(photo: Photo) -> bytes:
    """The process that decodes this one is killed."""
    if photo.name == "ends":
        os.kill(os.getpid(), 9)
    return b""


def stop_at(photos: int, number: int = signal.SIGKILL) -> None:
    """This process gets a signal, that of ``kill -9``, when the journal has so many photos."""
    from pocketvlad.evaluate.journal import Journal

    add, seen = Journal.add, []

    def add_until(self: Journal, *arguments: object) -> None:
        add(self, *arguments)  # type: ignore[arg-type]
        seen.append(1)
        if len(seen) == photos:
            os.kill(os.getpid(), number)

    Journal.add = add_until  # type: ignore[method-assign]


if __name__ == "__main__":
    # STOP[:SIGNAL] ARGUMENT...: `pocketvlad ARGUMENT...`, stopped after STOP photos, or never (0)
    from pocketvlad.cli import main

    stop = [int(each) for each in sys.argv[1].split(":")]
    if stop[0]:
        stop_at(*stop)
    sys.argv = ["pocketvlad", *sys.argv[2:]]
    main()

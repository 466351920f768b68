"""A large index that grows part by part: what an addition costs does not depend on what is there."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path

import numpy as np

from pocketvlad.evaluate.files import release, room
from pocketvlad.index import Entry, PlaceIndex, extend_index, open_index, search_index, write_index
from pocketvlad.index.entries import LazyEntries
from pocketvlad.index.types import encode_vectors

PART, DIM, OF_A_PLACE, _BLOCK = 250_000, 512, 5, 10_000
ARRAYS = ("vectors", "scales", "residuals")


def generated(folder: Path, number: int) -> PlaceIndex:
    """Part ``number``: photos of places of five, alike, as int8: those of part 0 with their dimensions turned."""
    first = number * PART
    if not (folder / "vectors.npy").exists():
        _write_vectors(folder)
    vectors, scales, residuals = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS)
    turned = room(vectors.shape, vectors.dtype), scales, room(residuals.shape, residuals.dtype)
    for at in range(0, PART, _BLOCK):
        some = slice(at, at + _BLOCK)
        turned[0][some] = np.roll(vectors[some], 4 * number, axis=1)
        turned[2][some] = np.roll(residuals[some], number, axis=1)  # four values a byte
        release(*turned)
    entries = LazyEntries(
        PART, lambda row: Entry(f"{first + row}.jpg", f"place {(first + row) // OF_A_PLACE}")
    )
    return PlaceIndex(*turned, entries, bytes(32), None, {"part": number})


def _write_vectors(folder: Path) -> None:
    """Those of part 0."""
    blocks = []
    for block in range(PART // _BLOCK):
        draw = np.random.default_rng(block)
        places = draw.standard_normal((_BLOCK // OF_A_PLACE, DIM), np.float32)
        rows = np.repeat(places, OF_A_PLACE, axis=0) + draw.standard_normal((_BLOCK, DIM), np.float32) / 2
        blocks.append(encode_vectors(rows / np.linalg.norm(rows, axis=1, keepdims=True), "int8"))
    for name, arrays in reversed(list(zip(ARRAYS, zip(*blocks, strict=True), strict=True))):
        np.save(folder / f"{name}.npy", np.concatenate(arrays))


def add(path: Path, count: int) -> None:
    """The next part, where ``count`` photos are not there yet."""
    number = len(open_index(path)) // PART if path.exists() else 0
    if number >= count // PART:
        return
    start = time.monotonic()
    made = generated(path.parent, number)
    ready = time.monotonic()
    if number:
        extend_index(path, made)
    else:
        write_index(path, made)
    say(added=number, making_s=ready - start, adding_s=time.monotonic() - ready, bytes=path.stat().st_size)


def search(path: Path) -> None:
    """Asks for 64 of its own rows, evenly spread, and for one of them alone."""
    start = time.monotonic()
    index = open_index(path)
    opened = time.monotonic()
    rows = np.linspace(0, len(index) - 1, 64).astype(np.int64)
    queries = index.vectors_at(rows)
    found, _ = search_index(index, queries, 5)
    assert np.array_equal(found[:, 0], rows)
    done = time.monotonic()
    search_index(index, queries[:1], 5)
    of_one = time.monotonic() - done
    say(photos=len(index), parts=len(index.parts), threshold=index.threshold, bytes=path.stat().st_size)
    say(open_s=opened - start, search_64_s=done - opened, search_1_s=of_one, places=index.count_places())


def say(**figures: object) -> None:
    """A line of JSON, with the process's most kilobytes resident."""
    rounded = {
        name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()
    }
    print(json.dumps({**rounded, "most_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}), flush=True)

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


def generated(number: int) -> PlaceIndex:
    """Part ``number``: photos of places of five, alike, as int8."""
    first, at = number * PART, 0
    like = encode_vectors(np.eye(1, DIM, dtype=np.float32), "int8")
    arrays = [room((PART, *array.shape[1:]), array.dtype) for array in like if array is not None]
    for block in range(PART // _BLOCK):
        draw = np.random.default_rng([number, block])
        places = draw.standard_normal((_BLOCK // OF_A_PLACE, DIM), np.float32)
        rows = np.repeat(places, OF_A_PLACE, axis=0) + draw.standard_normal((_BLOCK, DIM), np.float32) / 2
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        for array, values in zip(arrays, encode_vectors(rows, "int8"), strict=True):
            assert values is not None
            array[at : at + _BLOCK] = values
        release(*arrays)
        at += _BLOCK
    vectors, scales, residuals = arrays
    entries = LazyEntries(
        PART, lambda row: Entry(f"{first + row}.jpg", f"place {(first + row) // OF_A_PLACE}")
    )
    return PlaceIndex(vectors, scales, residuals, entries, bytes(32), None, {"part": number})


def add(path: Path, count: int) -> None:
    """The next part, where ``count`` photos are not there yet."""
    number = len(open_index(path)) // PART if path.exists() else 0
    if number >= count // PART:
        return
    start = time.monotonic()
    made = generated(number)
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

"""Cosine search over 100,000 descriptors of 512 values, beside faiss-cpu's IndexFlatIP and NumPy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from bench.asked import Asked
from bench.rows import Comparison, compare, take_turns
from pocketvlad.index import Entry, PlaceIndex, search_index
from pocketvlad.index.types import encode_vectors

PHOTOS, DIM, VIEWS, TOP, CANDIDATES = 100_000, 512, 5, 10, 1000
Search = Callable[[np.ndarray], object]  # queries [n, DIM] -> matches
BATCHES = (1, 64)
JUDGED = 500  # queries whose top-1 is compared with float32's
FAISS, NUMPY = "faiss-cpu IndexFlatIP float32", "numpy float32"
# Ours: vector type, candidates of the 1-bit first pass, goal against faiss.
OURS = {
    "float32": ("float32", None, 1.0),
    "float16": ("float16", None, None),
    "int8": ("int8", None, 1.5),
    "float32 after a 1-bit pass": ("float32", CANDIDATES, None),
}


def run(asked: Asked) -> list[Comparison]:
    """All rows; nothing is kept."""
    asked.say(f"search {PHOTOS} x {DIM}: preparing")
    vectors, queries = scene(np.random.default_rng(0))
    indexes = {dtype: make_index(vectors, dtype) for dtype in ("float32", "float16", "int8")}
    peers: dict[str, Search] = {NUMPY: lambda queried: numpy_search(vectors, queried)}
    found: list[Comparison] = []
    with threadpool_limits(asked.threads):
        peers |= faiss_search(vectors, asked.threads, asked.say)
        agreement = {name: top_1(vectors, queries, indexes, name, asked.threads) for name in OURS}
        for batch in BATCHES:
            asked.say(f"search {PHOTOS} x {DIM}: timing, {batch} at a time")
            first = queries[:batch]
            calls: dict[str, Callable[[], object]] = {n: partial(call, first) for n, call in peers.items()}
            calls |= {name: ours(indexes, name, first, asked.threads) for name in OURS}
            timings = take_turns(calls, asked.rounds)
            for name, (_, _, goal) in OURS.items():
                title = f"search {PHOTOS // 1000}k x {DIM}, {batch} at a time, {name} (top-1 {agreement[name]:.1%})"
                for peer in peers:
                    wanted = goal if peer == FAISS else None
                    found.append(compare(title, timings[name], peer, timings[peer], wanted, asked.threads))
    return found


def scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows: VIEWS photos of each place, cosine about 0.7 among them; and one more view of JUDGED places."""
    places = rng.standard_normal((PHOTOS // VIEWS, DIM), np.float32)
    views = np.repeat(places, VIEWS, 0) + 0.65 * rng.standard_normal((PHOTOS, DIM), np.float32)
    queries = places[:: len(places) // JUDGED][:JUDGED] + 0.65 * rng.standard_normal(
        (JUDGED, DIM), np.float32
    )
    return unit(views), unit(queries)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make_index(vectors: np.ndarray, dtype: str) -> PlaceIndex:
    entries = tuple(Entry(str(row)) for row in range(len(vectors)))
    return PlaceIndex(*encode_vectors(vectors, dtype), entries, bytes(32))


def ours(
    indexes: dict[str, PlaceIndex], name: str, queries: np.ndarray, threads: int
) -> Callable[[], object]:
    dtype, candidates, _ = OURS[name]
    return lambda: search_index(indexes[dtype], queries, TOP, threads=threads, candidates=candidates)


def top_1(
    vectors: np.ndarray, queries: np.ndarray, indexes: dict[str, PlaceIndex], name: str, threads: int
) -> float:
    """Share of queries whose best match is the one of a float32 scan."""
    dtype, candidates, _ = OURS[name]
    found, _ = search_index(indexes[dtype], queries, 1, threads=threads, candidates=candidates)
    wanted = (queries @ vectors.T).argmax(1)
    return float((found[:, 0] == wanted).mean())


def numpy_search(vectors: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cosines = queries @ vectors.T
    rows = np.argpartition(-cosines, TOP, axis=1)[:, :TOP]
    best = np.take_along_axis(cosines, rows, 1)
    order = np.argsort(-best, axis=1)
    return np.take_along_axis(rows, order, 1), np.take_along_axis(best, order, 1)


def faiss_search(vectors: np.ndarray, threads: int, say: Callable[[str], None]) -> dict[str, Search]:
    try:
        import faiss
    except ImportError:
        say("faiss-cpu is missing, its rows are left out: pip install faiss-cpu")
        return {}
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(DIM)
    index.add(vectors)
    return {FAISS: lambda queries: index.search(queries, TOP)}

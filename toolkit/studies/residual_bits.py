"""How many residual bits an int8 index needs: the first matches that agree with float32's, computed in NumPy.

Every row has a scale and int8 values, and so many bits a value that say where in its step of int8 the value lies; the
index keeps 2 (pocketvlad/index/FORMAT.md). The bench's scene, and rows that nothing resembles; prints one table:

    .venv/bin/python toolkit/studies/residual_bits.py
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from search import DIM, JUDGED, PHOTOS, scene, unit

BITS = (0, 1, 2, 4)
SEEDS = 4


def random_rows(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows and queries without a likeness, where the best match is hardest to tell from the second."""
    rows = [rng.standard_normal((count, DIM), np.float32) for count in (PHOTOS, JUDGED)]
    return unit(rows[0]), unit(rows[1])


SCENES: dict[str, Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]] = {
    "the bench's scene": scene,
    "random rows": random_rows,
}


def stored(vectors: np.ndarray, bits: int) -> np.ndarray:
    """What an index of so many residual bits holds of float32 [n, dim]."""
    scales = np.abs(vectors).max(axis=1, keepdims=True) / 127
    steps = vectors / scales
    values, parts = np.rint(steps), 1 << bits
    residuals = np.clip(np.floor((steps - values + 0.5) * parts), 0, parts - 1)
    return (values + (residuals - (parts - 1) / 2) / parts) * scales


def bytes_of_a_row(bits: int) -> int:
    """Its values, residuals and scale."""
    return DIM + DIM * bits // 8 + 4


def agreement(vectors: np.ndarray, queries: np.ndarray, bits: int) -> float:
    """Share of the queries whose best match is float32's."""
    wanted = (queries @ vectors.T).argmax(axis=1)
    return float(((queries @ stored(vectors, bits).T).argmax(axis=1) == wanted).mean())


def main() -> None:
    view = Table(title=f"first matches that are float32's, per cent of {JUDGED}; {PHOTOS} rows of {DIM}")
    for column in ("residual bits", "bytes a row", *(f"{name}, seeds 0 to {SEEDS - 1}" for name in SCENES)):
        view.add_column(column, justify="right")
    found: dict[tuple[int, str], list[str]] = {}
    for name, make in SCENES.items():
        for seed in range(SEEDS):
            vectors, queries = make(np.random.default_rng(seed))
            for bits in BITS:
                found.setdefault((bits, name), []).append(f"{100 * agreement(vectors, queries, bits):.1f}")
    for bits in BITS:
        view.add_row(str(bits), str(bytes_of_a_row(bits)), *(", ".join(found[bits, name]) for name in SCENES))
    Console(width=130).print(view)


if __name__ == "__main__":
    main()

"""How many residual bits an int8 index needs: the first matches that agree with float32's, computed in NumPy.

Every row has a scale and int8 values, and so many bits a value that say where in its step of int8 the value lies; the
index keeps 2 (pocketvlad/index/FORMAT.md). The bench's scene, and rows that nothing resembles; prints one table and
writes out/studies/residual_bits.json:

    PYTHONPATH=toolkit .venv/bin/python -m studies.residual_bits
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bench.searching import DIM, JUDGED, PHOTOS, scene, unit
from studies.command import publish, study_parser
from studies.contenders import OUT

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


def table(seeds: Sequence[int] = range(SEEDS)) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row of text for each number of bits: per cent of the queries, seed by seed."""
    found: dict[tuple[int, str], list[str]] = {}
    for name, make in SCENES.items():
        for seed in seeds:
            vectors, queries = make(np.random.default_rng(seed))
            for bits in BITS:
                found.setdefault((bits, name), []).append(f"{100 * agreement(vectors, queries, bits):.1f}")
    columns = ["residual bits", "bytes a photo", *(f"{name}, seeds {_span(seeds)}" for name in SCENES)]
    rows = [[str(b), str(bytes_of_a_row(b)), *(", ".join(found[b, name]) for name in SCENES)] for b in BITS]
    return columns, rows


def _span(seeds: Sequence[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}"


def main(arguments: Sequence[str]) -> None:
    parser = study_parser("studies.residual_bits", __doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args(arguments).out
    columns, rows = table()
    data = f"{PHOTOS} synthetic descriptors of {DIM} values, {JUDGED} queries a seed, computed in NumPy"
    publish(
        out / "residual_bits.json",
        columns,
        rows,
        title=f"first matches that are float32's, per cent; {data}",
        data=data,
        module="studies.residual_bits",
        arguments=arguments,
        width=130,
    )


if __name__ == "__main__":
    main(sys.argv[1:])

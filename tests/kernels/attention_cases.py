"""Sequences of tokens, with what NumPy says of their attention and norm; every kernel must give the same bits."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketvlad.lut import attention, attention_native

ATTENTION, NORM = 0, 1
ARRAYS = 4  # input, weight, bias, expected


@dataclass(frozen=True, eq=False)
class Case:
    """One call; ``number``: the heads, and ``value``: the scale or epsilon."""

    name: str
    kind: int
    x: np.ndarray
    number: int
    value: float
    expected: np.ndarray
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None

    def run(self) -> np.ndarray:
        """The kernels' answer, on the instruction set in force."""
        return _call(attention_native, self.kind, self.x, self.number, self.value, self.weight, self.bias)


def _call(module, kind, x, number, value, weight, bias) -> np.ndarray:
    if kind == ATTENTION:
        return module.attention(x, number, value)
    return module.layer_norm(x, weight, bias, value)


def _case(name, kind, x, number, value, weight=None, bias=None) -> Case:
    return Case(
        name, kind, x, number, value, _call(attention, kind, x, number, value, weight, bias), weight, bias
    )


# sequences, tokens, heads, dims: one token; blocks of queries that are not full; panels of keys that are not
_SEQUENCES = [(1, 1, 1, 8), (2, 5, 2, 16), (1, 49, 1, 64), (1, 66, 3, 24), (1, 130, 2, 40)]
_ROWS = [(3, 1), (5, 7), (4, 16), (2, 100), (3, 384)]


def all_cases() -> Iterator[Case]:
    rng = np.random.default_rng(0)
    for sequences, tokens, heads, dims in _SEQUENCES:
        x = (2 * rng.normal(size=(sequences, tokens, 3 * heads * dims))).astype(np.float32)
        x[0, 0] *= 30  # weights that are 0 beside others, and one that is almost all
        yield _case(f"attention-{tokens}-{heads}x{dims}", ATTENTION, x, heads, float(np.float32(dims**-0.5)))
    for rows, dims in _ROWS:
        x = (1 + 3 * rng.normal(size=(rows, dims))).astype(np.float32)
        x[0] = 5
        weight, bias = rng.normal(size=(2, dims)).astype(np.float32)
        epsilon = float(np.float32(1e-6))
        for scaled, shifted in ((None, None), (weight, bias), (weight, None)):
            name = f"norm-{rows}x{dims}-{scaled is not None}-{shifted is not None}"
            yield _case(name, NORM, x, 0, epsilon, scaled, shifted)


def write_cases(path: Path, cases: list[Case]) -> None:
    """The cases as the C driver reads them: five int32, a float32, then arrays, each after its byte count (int64)."""
    with open(path, "wb") as file:
        for case in cases:
            tokens = case.x.shape[1] if case.kind == ATTENTION else 1
            sizes = (
                case.kind,
                case.x.size // case.x.shape[-1] // tokens,
                tokens,
                case.x.shape[-1],
                case.number,
            )
            file.write(struct.pack("<5if", *sizes, case.value))
            for array in (case.x, case.weight, case.bias, case.expected):
                data = b"" if array is None else np.ascontiguousarray(array).tobytes()
                file.write(struct.pack("<q", len(data)) + data)

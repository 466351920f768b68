"""Names that stand more than once among very many, found without holding the names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np


def hashes_of(blocks: Iterable[list[str]], count: int) -> np.ndarray:
    """A hash of each of ``count`` names, int64; good in this process alone."""
    found, at = np.zeros(count, np.int64), 0
    for block in blocks:
        found[at : at + len(block)] = [hash(name) for name in block]
        at += len(block)
    return found


def repeated(hashes: np.ndarray, name_of: Callable[[int], str]) -> dict[str, list[int]]:
    """The rows of each name that stands more than once, in their order; names are compared where hashes are equal."""
    order = np.argsort(hashes, kind="stable")
    same = hashes[order[1:]] == hashes[order[:-1]]
    rows: dict[str, list[int]] = {}
    for row in np.union1d(order[1:][same], order[:-1][same]).tolist():
        rows.setdefault(name_of(row), []).append(row)
    return {name: found for name, found in rows.items() if len(found) > 1}


def distinct(blocks: Iterable[Iterable[str]]) -> int:
    """How many texts there are, each counted once, by their hashes."""
    seen = np.zeros(0, np.int64)
    for block in blocks:
        seen = np.union1d(seen, np.array([hash(text) for text in block], np.int64))
    return len(seen)

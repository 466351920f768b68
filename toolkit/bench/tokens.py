"""Matrices times many activation rows, as transformers multiply tokens: 4-bit codes beside XNNPACK's 8 and 4 bits.

Shapes are those of a small vision transformer: queries, keys and values at once, and the two layers of its perceptron.
"""

from __future__ import annotations

from functools import partial

import torch

from bench import peers
from bench.asked import Asked
from bench.rows import Comparison, compare, take_turns

SHAPES = [(384, 1152), (384, 1536), (1536, 384)]  # columns, rows
TOKENS = (50, 257, 1370)
GOALS = {"XNNPACK int8": 1.0, "XNNPACK int4": 1.0}
BITS = 4


def run(asked: Asked) -> list[Comparison]:
    """All rows."""
    peers.use_threads(asked.threads)
    found: list[Comparison] = []
    for columns, rows in SHAPES:
        for tokens in TOKENS:
            asked.say(f"{tokens} x {columns} -> {rows}")
            paths = {peer: peers.xnnpack_linear(asked.folder, peer, rows, columns, tokens) for peer in GOALS}
            paths["ours"] = peers.lookup_linear(asked.folder, BITS, rows, columns, fast=True, batch=tokens)
            x = torch.randn(tokens, columns)
            timings = take_turns(
                {name: partial(peers.loaded(path), x) for name, path in paths.items()}, asked.rounds
            )
            for peer, goal in GOALS.items():
                name, wanted = (
                    f"{tokens} tokens {columns} -> {rows}, {BITS}-bit",
                    goal if asked.threads == 1 else None,
                )
                found.append(compare(name, timings["ours"], peer, timings[peer], wanted, asked.threads))
    return found

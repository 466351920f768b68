"""Small checkpoints with random weights in the layouts of public projects, and the transformers they need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from torch import Tensor

from pocketvlad.model.backbones import BACKBONES
from pocketvlad.model.backbones.dinov2 import TransformerSpec
from studies.made import (
    DEPTH,
    WIDTH,
    boq_head,
    gem_head,
    in_sequence,
    linear,
    megaloc_head,
    mixvpr_head,
    netvlad_head,
    norm,
    resnet,
    salad_head,
    transformer,
    under,
)

__all__ = [
    "DEPTH",
    "HEADS",
    "WIDTH",
    "boq_head",
    "chunked",
    "gem_head",
    "in_sequence",
    "linear",
    "megaloc_head",
    "mixvpr_head",
    "netvlad_head",
    "norm",
    "resnet",
    "salad_head",
    "tiny_transformers",
    "transformer",
    "under",
]
HEADS = 2  # of attention


@pytest.fixture
def tiny_transformers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """DINOv2's transformers at two blocks of width 32, in the list of backbones for one test."""
    for registers in (0, 4):
        for class_token in (False, True):
            name = f"dinov2_tiny14{'_reg' if registers else ''}{'_class' if class_token else ''}"
            spec = TransformerSpec(WIDTH, DEPTH, HEADS, registers, class_token)
            monkeypatch.setitem(BACKBONES, name, spec)
    yield


def chunked(tensors: dict[str, Tensor], size: int = 1) -> dict[str, Tensor]:
    """Blocks as training dumps have them: ``blocks.CHUNK.N``."""
    found = {}
    for key, value in tensors.items():
        first, _, rest = key.partition("blocks.")
        number, _, last = rest.partition(".")
        found[f"{first}blocks.{int(number) // size}.{number}.{last}" if rest else key] = value
    return found

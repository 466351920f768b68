"""Which packed layer each lookup op of a program belongs to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pocketvlad.lut.layers import PackedLayer


def called_layers(packed: nn.Module, example: Sequence[Tensor]) -> tuple[str, ...]:
    """Names of the packed layers in the order in which one pass calls them: one lookup op for each.

    Args:
        packed: of :func:`pocketvlad.export.pack.pack`.
        example: one input.
    """
    found: list[str] = []
    hooks = [
        module.register_forward_pre_hook(lambda _, __, name=name: found.append(name))
        for name, module in packed.named_modules()
        if isinstance(module, PackedLayer)
    ]
    try:
        with torch.no_grad():
            packed(*example)
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(found)

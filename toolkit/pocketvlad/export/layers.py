"""What the passes over a graph share: a layer as the kernels want it, activations that become part of one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import fx, nn

from pocketvlad.lut import reference
from pocketvlad.lut.tensor import LutTensor

_MODULES = {nn.ReLU: reference.RELU, nn.ReLU6: reference.RELU6}
_CALLS = {
    torch.relu: reference.RELU,
    nn.functional.relu: reference.RELU,
    nn.functional.relu6: reference.RELU6,
    torch.ops.aten.relu.default: reference.RELU,
    "relu": reference.RELU,
}


def for_kernels(lut: LutTensor, fast: bool) -> LutTensor:
    """The layer as the kernels want it: 8-bit codes of the int8 kernels lie on the int8 grid."""
    return reference.on_grid(lut) if fast and lut.bits == 8 else lut


def activation_of(node: fx.Node, modules: Mapping[str, nn.Module]) -> int:
    """The activation that a node is, as the lookup ops number it."""
    if node.op == "call_module":
        return _MODULES.get(type(modules[str(node.target)]), reference.NONE)
    return _CALLS.get(node.target, reference.NONE) if len(node.all_input_nodes) == 1 else reference.NONE

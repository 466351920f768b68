"""Activations that stay int8 from layer to layer, as XNNPACK keeps them: where they are quantized, and how finely."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.ao.quantization.fx._decomposed  # registers the ops that XNNPACK's partitioner knows
from torch import Tensor, fx, nn

from pocketvlad.errors import KernelError, RecipeError

LOWEST, HIGHEST = -128, 127
OPS = torch.ops.quantized_decomposed
_SAMPLES = 1 << 20  # values a grid is fitted to
_SHARES = tuple(share / 20 for share in range(8, 21))  # of the whole range, tried
_SUMS = (operator.add, operator.iadd, torch.add)
_ACTIVATIONS = (nn.ReLU, nn.ReLU6)


@dataclass(frozen=True)
class ActivationGrid:
    """Values ``(q - zero_point) * scale`` of int8 q, the same for every photo.

    Raises:
        KernelError: a scale that is no positive float32, or a zero point that is no int8.
    """

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        scale, zero = self.scale, self.zero_point
        numbers = isinstance(scale, float) and isinstance(zero, int) and not isinstance(zero, bool)
        tiny, largest = (float(getattr(np.finfo(np.float32), name)) for name in ("tiny", "max"))
        if not numbers or not tiny <= scale <= largest or not LOWEST <= zero <= HIGHEST:
            raise KernelError(
                "activations cannot be quantized",
                found=f"scale {scale!r}, zero point {zero!r}",
                allowed="a positive float32 and an int8",
            )

    @classmethod
    def spanning(cls, low: float, high: float) -> ActivationGrid:
        """256 steps from ``low``, at most 0, to ``high``, at least 0; 0 is one of them."""
        scale = float(np.float32((high - low) / (HIGHEST - LOWEST)))
        if scale < np.finfo(np.float32).tiny:
            return cls(1.0, LOWEST)
        return cls(scale, min(max(round(LOWEST - low / scale), LOWEST), HIGHEST))

    def quantize(self, x: Tensor) -> Tensor:
        """float32 -> int8, values beyond the grid to its ends."""
        return OPS.quantize_per_tensor(x, self.scale, self.zero_point, LOWEST, HIGHEST, torch.int8)

    def dequantize(self, q: Tensor) -> Tensor:
        """int8 -> float32."""
        return OPS.dequantize_per_tensor(q, self.scale, self.zero_point, LOWEST, HIGHEST, torch.int8)

    def nearest(self, x: Tensor) -> Tensor:
        """float32 -> what the next layer sees of it, float32."""
        return self.dequantize(self.quantize(x))


def fit_grid(outputs: Sequence[Tensor]) -> ActivationGrid:
    """The grid that loses least of a node's outputs, one tensor per photo, in squared error.

    Ends beyond which few values lie are cut off where the finer steps gain more.
    """
    low = min(0.0, *(float(x.min()) for x in outputs))
    high = max(0.0, *(float(x.max()) for x in outputs))
    step = max(1, sum(x.numel() for x in outputs) // _SAMPLES)
    values = torch.cat([x.flatten()[::step] for x in outputs])
    grids = [ActivationGrid.spanning(share * low, share * high) for share in reversed(_SHARES)]
    return min(grids, key=lambda grid: float((grid.nearest(values) - values).square().mean()))


class GridFitter:
    """Fits a grid at every node where activations are quantized, as a walk reaches it; see ``walk_backbone``.

    Attributes:
        grids: by the node's name.
    """

    def __init__(self, network: nn.Module):
        self._at, self.grids = quantized_at(trace(network)), dict[str, ActivationGrid]()

    def __call__(self, node: fx.Node, outputs: list[Tensor]) -> list[Tensor]:
        """A node's outputs on every photo -> what the nodes after it see of them."""
        if self._at.get(node.name) != node.name:
            return outputs
        self.grids[node.name] = grid = fit_grid(outputs)
        return [grid.nearest(x) for x in outputs]


def trace(network: nn.Module) -> fx.GraphModule:
    """The network's graph without the modules that do nothing; its modules are the network's own."""
    graph = fx.symbolic_trace(network)
    modules = dict(graph.named_modules())
    for node in list(graph.graph.nodes):
        if node.op == "call_module" and isinstance(modules[node.target], (nn.Identity, nn.Dropout)):
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    graph.recompile()
    return graph


def quantized_at(graph: fx.GraphModule) -> dict[str, str]:
    """Names of the nodes whose outputs are int8, each with the name of the node whose grid it shares.

    A convolution or sum takes its activation along; max pooling keeps the grid of what it reads; what is
    concatenated has the grid of the whole.

    Raises:
        RecipeError: the network has operations that XNNPACK does not compute in int8 like this.
    """
    modules = dict(graph.named_modules())
    found: dict[str, str] = {}
    for node in graph.graph.nodes:
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        readers = list(node.users)
        if node.op == "placeholder" or isinstance(module, _ACTIVATIONS):
            found[node.name] = node.name
        elif isinstance(module, nn.Conv2d) or node.target in _SUMS:
            fused = len(readers) == 1 and isinstance(modules.get(str(readers[0].target)), _ACTIVATIONS)
            if not fused:
                found[node.name] = node.name
        elif isinstance(module, nn.MaxPool2d):
            found[node.name] = found[node.args[0].name]
        elif node.target is torch.cat and all(len(source.users) == 1 for source in node.all_input_nodes):
            found |= {each.name: node.name for each in (node, *node.all_input_nodes)}
        elif node.op != "output":
            name = node.name if module is None else type(module).__name__
            raise RecipeError("the backbone cannot be computed in int8 throughout", found=f"operation {name}")
    return found

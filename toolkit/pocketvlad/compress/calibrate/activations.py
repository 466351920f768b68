"""Activations that stay int8 from layer to layer, as XNNPACK keeps them: where they are quantized, and how finely."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn

from pocketvlad.compress.graph import traced
from pocketvlad.compress.grid import ActivationGrid
from pocketvlad.errors import RecipeError

_SAMPLES = 1 << 20  # values a grid is fitted to
_SHARES = tuple(share / 20 for share in range(8, 21))  # of the whole range, tried
_SUMS = (operator.add, operator.iadd, torch.add)
_ACTIVATIONS = (nn.ReLU, nn.ReLU6)
_KEEPING = (nn.MaxPool2d, nn.ZeroPad2d)  # give values of what they read, or 0, which every grid has


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
        self._at, self.grids = quantized_at(traced(network)), dict[str, ActivationGrid]()

    def __call__(self, node: fx.Node, outputs: list[Tensor]) -> list[Tensor]:
        """A node's outputs on every photo -> what the nodes after it see of them."""
        if self._at.get(node.name) != node.name:
            return outputs
        self.grids[node.name] = grid = fit_grid(outputs)
        return [grid.nearest(x) for x in outputs]


def quantized_at(graph: fx.GraphModule) -> dict[str, str]:
    """Names of the nodes whose outputs are int8, each with the name of the node whose grid it shares.

    A convolution or sum takes its activation along; max pooling and padding keep the grid of what they read; what is
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
        elif isinstance(module, _KEEPING):
            found[node.name] = found[node.args[0].name]
        elif node.target is torch.cat and all(len(source.users) == 1 for source in node.all_input_nodes):
            found |= {each.name: node.name for each in (node, *node.all_input_nodes)}
        elif node.op != "output":
            name = node.name if module is None else type(module).__name__
            raise RecipeError("the backbone cannot be computed in int8 throughout", found=f"operation {name}")
    return found

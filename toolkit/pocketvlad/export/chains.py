"""Lookup convolutions whose activations stay int8 from layer to layer: the longest chains that the grids allow.

Calibration fitted a grid to what each node of the backbone gives (:mod:`pocketvlad.compress.calibrate.activations`).
Convolutions, sums, max pooling and concatenations between two grids become their int8 forms, with the activation and
the padding beside them; whatever else there is keeps computing in float32, and an image is converted where it passes
from one kind to the other.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn

from pocketvlad.compress.calibrate.activations import quantized_at
from pocketvlad.compress.graph import traced
from pocketvlad.compress.grid import ActivationGrid
from pocketvlad.export.layers import activation_of, for_kernels
from pocketvlad.lut import reference
from pocketvlad.lut.int8 import QUAD, Grid
from pocketvlad.lut.int8_layers import (
    Int8Add,
    Int8Cat,
    Int8FromFloat,
    Int8LutConv2d,
    Int8MaxPool,
    Int8ToFloat,
)
from pocketvlad.model.heads.base import HeadCodes

_SUMS = (operator.add, operator.iadd, torch.add)
Padding = tuple[int, int, int, int]  # top, left, bottom, right
_NO_PADDING: Padding = (0, 0, 0, 0)


@dataclass(frozen=True)
class _Image:
    """An int8 image in the new graph."""

    node: fx.Node
    channels: int
    grid: Grid


def chained(
    network: nn.Module, codes: HeadCodes, grids: Mapping[str, ActivationGrid]
) -> tuple[fx.GraphModule, frozenset[str]]:
    """A backbone's graph with int8 layers wherever they can be, and the names of the layers that are.

    Args:
        network: in eval mode, batch norm folded; its values do not matter.
        codes: its layers; those that stay in float32 are left to the caller.
        grids: of activations, by the node's name.
    """
    graph = traced(network)
    chains = _Chains(graph, codes, grids)
    return chains.build(), frozenset(chains.packed)


class _Chains:
    """Writes the new graph in the old one's order; `floats` and `images` hold what each node gives, in either form."""

    def __init__(self, graph: fx.GraphModule, codes: HeadCodes, grids: Mapping[str, ActivationGrid]):
        self.old, self.codes = graph, codes
        self.modules = dict(graph.named_modules())
        self.grids = {
            node: Grid(grids[name].scale, grids[name].zero_point)
            for node, name in quantized_at(graph).items()
            if name in grids
        }
        self.graph = fx.Graph()
        self.made: dict[str, nn.Module] = {}
        self.floats: dict[fx.Node, fx.Node] = {}
        self.images: dict[fx.Node, _Image] = {}
        self.packed: set[str] = set()

    def build(self) -> fx.GraphModule:
        for node in self.old.graph.nodes:
            image = self._int8_form(node)
            if image is not None:
                self.images[node] = image
            else:
                self.floats[node] = self.graph.node_copy(node, self._float_of)
        self.graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))
        self.graph.lint()
        targets = {str(node.target): node.op for node in self.graph.nodes}
        modules = {
            n: self.made.get(n, self.modules.get(n)) for n, op in targets.items() if op == "call_module"
        }
        read = {n: operator.attrgetter(n)(self.old) for n, op in targets.items() if op == "get_attr"}
        return fx.GraphModule({**modules, **read}, self.graph).eval()

    def _float_of(self, node: fx.Node) -> fx.Node:
        if node not in self.floats:
            image = self.images[node]
            module = Int8ToFloat(image.channels, image.grid)
            self.floats[node] = self._call(f"{node.name}_to_float", module, image.node)
        return self.floats[node]

    def _image_of(self, node: Any, channels: int | None = None) -> _Image | None:
        """What a node gives as int8; None where it has no grid, or gives float32 of nobody knows how many channels."""
        if node not in self.images and node.name in self.grids and channels is not None:
            grid = self.grids[node.name]
            made = self._call(f"{node.name}_from_float", Int8FromFloat(grid), self._float_of(node))
            self.images[node] = _Image(made, channels, grid)
        return self.images.get(node)

    def _call(self, name: str, module: nn.Module, *args: Any) -> fx.Node:
        self.made[name] = module
        return self.graph.call_module(name, args)

    def _int8_form(self, node: fx.Node) -> _Image | None:
        """The node as an int8 layer in the new graph, with the activation that it is; None where there is none."""
        if node.name not in self.grids:
            return None
        activation = activation_of(node, self.modules)
        if activation != reference.NONE:
            source: Any = node.args[0]
            return self._layer(source, node, activation) if len(source.users) == 1 else None
        return self._layer(node, node, activation)

    def _layer(self, node: fx.Node, out: fx.Node, activation: int) -> _Image | None:
        module = self.modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, nn.Conv2d):
            return self._convolution(node, module, out, activation)
        if node.op == "call_function" and node.target in _SUMS and len(node.all_input_nodes) == 2:
            return self._sum(node, out, activation)
        if activation == reference.NONE and isinstance(module, nn.MaxPool2d):
            return self._pool(node, module)
        if activation == reference.NONE and node.target is torch.cat:
            return self._cat(node)
        return None

    def _convolution(self, node: fx.Node, layer: nn.Conv2d, out: fx.Node, activation: int) -> _Image | None:
        name = str(node.target)
        uses = sum(each.op == "call_module" and each.target == node.target for each in self.old.graph.nodes)
        source, around = self._padding_before(node.args[0])
        padding = _padding_of(layer, around)
        if uses > 1 or name not in self.codes.layers or padding is None or not _whole_quads(layer):
            return None
        image = self._image_of(source, layer.in_channels)
        if image is None:
            return None
        grid, lut = self.grids[out.name], for_kernels(self.codes.layers[name], fast=True)
        bias = self.codes.biases.get(name)
        module = Int8LutConv2d(lut, bias, layer, image.grid, grid, padding=padding, activation=activation)
        self.packed.add(name)
        return _Image(self._call(name, module, image.node), layer.out_channels, grid)

    def _padding_before(self, node: Any) -> tuple[Any, Padding]:
        """What a module of zero padding reads, and that padding."""
        module = self.modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(module, nn.ZeroPad2d):
            return node, _NO_PADDING
        left, right, top, bottom = module.padding
        return node.args[0], (top, left, bottom, right)

    def _sum(self, node: fx.Node, out: fx.Node, activation: int) -> _Image | None:
        a, b = (self._image_of(each) for each in node.all_input_nodes)
        if a is None or b is None or a.channels != b.channels or node.kwargs:
            return None
        grid = self.grids[out.name]
        module = Int8Add(a.grid, b.grid, grid, activation=activation)
        return _Image(self._call(f"{node.name}_int8", module, a.node, b.node), a.channels, grid)

    def _pool(self, node: fx.Node, module: nn.MaxPool2d) -> _Image | None:
        sizes = [
            value if isinstance(value, tuple) else (value, value)
            for value in (module.kernel_size, module.stride, module.padding, module.dilation)
        ]
        image = self._image_of(node.args[0])
        if image is None or any(a != b for a, b in sizes) or sizes[3] != (1, 1):
            return None
        kernel, stride, padding = (each[0] for each in sizes[:3])
        made = Int8MaxPool(kernel, stride, padding, ceil=module.ceil_mode)
        return _Image(self._call(str(node.target), made, image.node), image.channels, image.grid)

    def _cat(self, node: fx.Node) -> _Image | None:
        images = [self._image_of(each) for each in node.all_input_nodes]
        found = [image for image in images if image is not None]
        by_channels = 1 in (node.args[-1], node.kwargs.get("dim"))
        if len(found) < len(images) or not by_channels or any(each.channels % QUAD for each in found[:-1]):
            return None
        made = self._call(f"{node.name}_int8", Int8Cat(), [each.node for each in found])
        return _Image(made, sum(each.channels for each in found), found[0].grid)


def _padding_of(layer: nn.Conv2d, around: Padding) -> Padding | None:
    """A convolution's padding and that of a module before it; None where the int8 kernels take no such padding."""
    if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
        return None
    (y, x), (top, left, bottom, right) = layer.padding, around
    found = (top + y, left + x, bottom + y, right + x)
    reach = [gap * (size - 1) for gap, size in zip(layer.dilation, layer.kernel_size, strict=True)]
    fits = all(0 <= found[i] <= reach[i % 2] for i in range(4))
    return found if fits else None


def _whole_quads(layer: nn.Conv2d) -> bool:
    """Whether the int8 kernels take its groups."""
    if layer.groups in (1, layer.in_channels):
        return layer.groups == 1 or layer.in_channels == layer.out_channels
    return layer.in_channels // layer.groups % QUAD == 0 and layer.out_channels // layer.groups % QUAD == 0


def without(codes: HeadCodes, names: frozenset[str]) -> HeadCodes:
    """The codes of the layers that are not packed yet."""
    return replace(codes, layers={name: lut for name, lut in codes.layers.items() if name not in names})

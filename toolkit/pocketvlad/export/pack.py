"""Masks and codebooks -> packed layers: the module a program is made of."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from pocketvlad.compress.calibrate.int8_backbone import int8_backbone, replace_module
from pocketvlad.compress.compressed import Compressed
from pocketvlad.compress.graph import traced
from pocketvlad.compress.recipe import INT8, LUT, LUT_INT8
from pocketvlad.errors import ExportError, unknown
from pocketvlad.export.chains import chained, without
from pocketvlad.export.layers import activation_of, for_kernels
from pocketvlad.export.transformers import fuse_tokens
from pocketvlad.lut import reference
from pocketvlad.lut.layers import Int8Rows, LutConv1d, LutConv2d, LutLinear
from pocketvlad.lut.reference import MaxPool
from pocketvlad.model.heads.base import Head, HeadCodes
from pocketvlad.model.network import Network
from pocketvlad.model.unit import unit_length

EXACT, FAST, MIXED = "exact", "fast", "mixed"
SEMANTICS = (MIXED, EXACT, FAST)


class PackedNetwork(nn.Module):
    """A compressed network over packed codes: float32 [1, 3, H, W] -> descriptor or scores float32 [1, N]."""

    def __init__(self, backbone: nn.Module, head: nn.Module, whitening: nn.Module | None = None):
        super().__init__()
        self.backbone, self.head, self.whitening = backbone, head, whitening

    def forward(self, x: Tensor) -> Tensor:
        found = self.head(self.backbone(x))
        return found if self.whitening is None else unit_length(self.whitening(found))


def pack(compressed: Compressed, semantics: str = MIXED, convolutions: str = LUT) -> nn.Module:
    """Every layer of ``compressed`` as a packed module, activations and max pooling fused into their convolutions.

    Fast 8-bit layers are re-coded onto the int8 grid (the results do not change).

    Args:
        compressed: of any recipe.
        semantics: ``exact``, ``fast``, or ``mixed``: in int8 the linear layers of one row for each input, and what
            calibration found to bear it. The former are the bulk of the bytes and bound by memory, where int8 pays and
            costs little accuracy; a convolution with heavy-tailed inputs can lose a lot.
        convolutions: of the backbone: ``lut``, ``lut-int8`` with int8 activations from layer to layer, or ``int8`` for
            XNNPACK's on the same weights.
    """
    require_semantics(semantics)
    skeleton = compressed.skeleton
    if not isinstance(skeleton, Network):
        return pack_graph(traced(skeleton), codes_of(compressed, "", semantics)).eval()
    packed: list[nn.Module] = []
    for prefix, part in skeleton.parts():
        codes = codes_of(compressed, prefix, semantics)
        if part is skeleton.backbone:
            packed.append(pack_backbone(compressed, semantics, convolutions))
        else:
            own = part.pack(codes) if isinstance(part, Head) else None
            packed.append(pack_graph(traced(part), codes) if own is None else own)
    return PackedNetwork(*packed).eval()


def pack_backbone(compressed: Compressed, semantics: str, convolutions: str) -> fx.GraphModule:
    """The backbone of a compressed network for a program; arguments as :func:`pack`."""
    skeleton: Any = compressed.skeleton
    prefix, backbone = skeleton.parts()[0]
    codes = codes_of(compressed, prefix, semantics)
    if convolutions == INT8:
        plain = {n.removeprefix(prefix): lut for n, lut in compressed.layers.items() if n.startswith(prefix)}
        return int8_backbone(backbone, plain, codes.biases, compressed.activations)
    if convolutions == LUT_INT8:
        graph, packed = chained(backbone, codes, compressed.activations)
        return pack_graph(graph, without(codes, packed))
    return pack_graph(traced(backbone), codes)


def codes_of(compressed: Compressed, prefix: str, semantics: str) -> HeadCodes:
    """The arrays of one part of a network: those with names that begin like this, by the rest of the names."""

    def inside(values: Mapping[str, Any]) -> dict[str, Any]:
        return {n.removeprefix(prefix): each for n, each in values.items() if n.startswith(prefix)}

    layers = inside(compressed.layers)
    fast = {name: computes_in_int8(compressed, f"{prefix}{name}", semantics) for name in layers}
    return HeadCodes(
        {name: for_kernels(lut, fast[name]) for name, lut in layers.items()},
        inside(compressed.biases),
        inside(compressed.constants),
        fast,
    )


def computes_in_int8(compressed: Compressed, name: str, semantics: str) -> bool:
    """Whether the layer ``name`` computes with the int8 kernels in a program of these semantics."""
    return semantics == FAST or (semantics == MIXED and name in compressed.int8)


def torch_model(compressed: Compressed, convolutions: str) -> nn.Module:
    """What a program is checked against: ``exact`` weights, and the int8 steps of the activations if it has them."""
    model = compressed.to_torch()
    if convolutions != LUT:
        model.backbone = pack_backbone(compressed, MIXED, INT8)
    return model


def semantics_of(model: object, asked: str | None) -> str:
    """The semantics asked for, else the one its recipe says, else ``mixed``."""
    found = asked or (model.recipe.semantics if isinstance(model, Compressed) else MIXED)
    require_semantics(found)
    return found


def require_semantics(semantics: str) -> None:
    """Raises ExportError for a name that is not one of SEMANTICS."""
    if semantics not in SEMANTICS:
        raise unknown(ExportError, "unknown semantics", semantics, SEMANTICS)


def pack_graph(graph: fx.GraphModule, codes: HeadCodes) -> fx.GraphModule:
    """A network's graph with every layer replaced by its packed form; the layers' values in it do not matter."""
    found = fx.GraphModule(graph, copy.deepcopy(graph.graph))
    modules = dict(found.named_modules())
    called = [node for node in found.graph.nodes if node.op == "call_module"]
    packed: dict[str, nn.Module] = {}
    for node in called:
        name = str(node.target)
        if name in codes.layers:
            uses = sum(each.target == node.target for each in called)
            activation = _fuse_activation(found, node, modules) if uses == 1 else reference.NONE
            if name not in packed:
                packed[name] = _packed_layer(modules[name], codes, name, activation)
                replace_module(found, name, packed[name])
    fuse_tokens(found)
    stored = _pack_constants(found, codes)
    for node in called:
        if isinstance(modules[str(node.target)], nn.MaxPool2d):
            _fuse_pool(found, node, modules[str(node.target)])
    found.graph.lint()
    found.recompile()
    found.delete_all_unused_submodules()
    for name in stored:
        parent, _, last = name.rpartition(".")
        delattr(found.get_submodule(parent), last)
    return found


def _pack_constants(graph: fx.GraphModule, codes: HeadCodes) -> set[str]:
    """Every read of a constant that is stored as int8 rows -> a module that makes it of them; the constants read.

    ``codes`` may hold constants of other parts of the network.
    """
    stored: set[str] = set()
    for node in list(graph.graph.nodes):
        if node.op == "get_attr" and node.target in codes.constants:
            name = f"{str(node.target).replace('.', '_')}_rows"
            graph.add_submodule(name, Int8Rows(codes.constants[str(node.target)]))
            with graph.graph.inserting_before(node):
                made = graph.graph.call_module(name, ())
            node.replace_all_uses_with(made)
            graph.graph.erase_node(node)
            stored.add(str(node.target))
    return stored


def _packed_layer(layer: nn.Module, codes: HeadCodes, name: str, activation: int) -> nn.Module:
    lut, bias, fast = codes.layers[name], codes.biases.get(name), codes.fast[name]
    if isinstance(layer, nn.Linear):
        return LutLinear(lut, bias, fast=fast, activation=activation)
    kind = LutConv1d if isinstance(layer, nn.Conv1d) else LutConv2d
    return kind(lut, bias, layer, fast=fast, activation=activation)  # type: ignore[arg-type]


def _fuse_activation(graph: fx.GraphModule, node: fx.Node, modules: dict[str, nn.Module]) -> int:
    """The activation that is the only user of ``node``, taken out of the graph."""
    users = list(node.users)
    activation = activation_of(users[0], modules) if len(users) == 1 else reference.NONE
    if activation:
        users[0].replace_all_uses_with(node)
        graph.graph.erase_node(users[0])
    return activation


def _bypass(graph: fx.GraphModule, node: fx.Node) -> None:
    source: Any = node.args[0]
    node.replace_all_uses_with(source)
    graph.graph.erase_node(node)


def _fuse_pool(graph: fx.GraphModule, node: fx.Node, module: nn.MaxPool2d) -> None:
    """Max pooling into the convolutions whose output, or whose outputs side by side, it alone reads."""
    pool = _plain_pool(module)
    convolutions = _sources(node)
    if pool is None or any(not _is_convolution(graph, source) for source in convolutions):
        return
    for source in convolutions:
        convolution: Any = graph.get_submodule(str(source.target))
        convolution.pool = pool.to_list()
    _bypass(graph, node)


def _plain_pool(module: nn.MaxPool2d) -> MaxPool | None:
    """The pooling as the kernels have it: square windows, no padding, no dilation."""
    kernel, stride, padding, dilation = (
        value if isinstance(value, tuple) else (value, value)
        for value in (module.kernel_size, module.stride, module.padding, module.dilation)
    )
    plain = kernel[0] == kernel[1] and stride[0] == stride[1] and padding == (0, 0) and dilation == (1, 1)
    return MaxPool(kernel[0], stride[0], module.ceil_mode) if plain else None


def _sources(node: fx.Node) -> list[fx.Node]:
    """What feeds ``node``, through a concatenation of channels that nothing else reads."""
    (source,) = node.all_input_nodes
    if (
        source.target is torch.cat
        and len(source.users) == 1
        and 1 in (source.args[-1], source.kwargs.get("dim"))
    ):
        return source.all_input_nodes
    return [source]


def _is_convolution(graph: fx.GraphModule, node: fx.Node) -> bool:
    """A packed convolution with one user."""
    return (
        node.op == "call_module"
        and len(node.users) == 1
        and isinstance(graph.get_submodule(str(node.target)), LutConv2d)
    )

"""Masks and codebooks -> packed layers: the module a program is made of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, fx, nn

from pocketvlad.compress.calibrate.activations import trace
from pocketvlad.compress.calibrate.int8_backbone import int8_backbone, replace_module
from pocketvlad.compress.compressed import CompressedModel
from pocketvlad.compress.recipe import INT8, LUT
from pocketvlad.errors import ExportError
from pocketvlad.lut import reference
from pocketvlad.lut.layers import LutConv2d, LutLinear, LutVladPool
from pocketvlad.lut.reference import MaxPool
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.backbones import build_backbone
from pocketvlad.model.netvlad import PlaceModel, unit_length

EXACT, FAST, MIXED = "exact", "fast", "mixed"
_BACKBONE, _WHITENING = "backbone.", "whitening"
SEMANTICS = (MIXED, EXACT, FAST)
_ACTIVATIONS = {nn.ReLU: reference.RELU, nn.ReLU6: reference.RELU6}


class FoldedModel(nn.Module):
    """A compressed model over packed codes: float32 [1, 3, H, W] -> unit descriptor float32 [1, N]."""

    def __init__(self, backbone: nn.Module, pool: LutVladPool, whitening: LutLinear | None):
        super().__init__()
        self.backbone, self.pool, self.whitening = backbone, pool, whitening

    def forward(self, x: Tensor) -> Tensor:
        vlad = self.pool(self.backbone(x))
        return vlad if self.whitening is None else unit_length(self.whitening(vlad))


def fold(compressed: CompressedModel, semantics: str = MIXED, convolutions: str = LUT) -> FoldedModel:
    """Every layer of ``compressed`` as a packed module, activations and max pooling fused into their convolutions.

    Fast 8-bit layers are re-coded onto the int8 grid (the results do not change).

    Args:
        compressed: of any recipe.
        semantics: ``exact``, ``fast``, or ``mixed``: the whitening fast, and the convolutions that calibration
            found to bear it. The whitening is the bulk of the bytes and bound by memory, where int8 pays and
            costs little accuracy; a convolution with heavy-tailed inputs can lose a lot.
        convolutions: of the backbone: ``lut``, or ``int8`` for XNNPACK's on the same weights.
    """
    require_semantics(semantics)
    fast = {name: computes_in_int8(compressed, name, semantics) for name in compressed.layers}
    rest = {name: lut for name, lut in compressed.layers.items() if not name.startswith(_BACKBONE)}
    layers = {name: for_kernels(lut, fast[name]) for name, lut in rest.items()}
    backbone = fold_backbone(compressed, semantics, convolutions)
    pool = LutVladPool(
        layers["pool.assignment"],
        compressed.biases.get("pool.assignment"),
        compressed.centroids,
        compressed.centroid_scale,
        fast=fast["pool.assignment"],
    )
    whitening = None
    if "whitening" in layers:
        whitening = LutLinear(layers["whitening"], compressed.biases.get("whitening"), fast=fast[_WHITENING])
    return FoldedModel(backbone, pool, whitening).eval()


def fold_backbone(compressed: CompressedModel, semantics: str, convolutions: str) -> fx.GraphModule:
    """The backbone of a compressed model for a program; arguments as :func:`fold`."""
    network = build_backbone(compressed.config.backbone)
    inside = {
        name.removeprefix(_BACKBONE): lut
        for name, lut in compressed.layers.items()
        if name.startswith(_BACKBONE)
    }
    biases = {short: compressed.biases.get(f"{_BACKBONE}{short}") for short in inside}
    biases = {short: bias for short, bias in biases.items() if bias is not None}
    if convolutions == INT8:
        return int8_backbone(network, inside, biases, compressed.activations)
    fast = {short: computes_in_int8(compressed, f"{_BACKBONE}{short}", semantics) for short in inside}
    layers = {short: for_kernels(lut, fast[short]) for short, lut in inside.items()}
    return fold_network(network, layers, biases, fast)


def computes_in_int8(compressed: CompressedModel, name: str, semantics: str) -> bool:
    """Whether the layer ``name`` computes with the int8 kernels in a program of these semantics."""
    return semantics == FAST or (semantics == MIXED and (name == _WHITENING or name in compressed.int8))


def torch_model(compressed: CompressedModel, convolutions: str) -> PlaceModel:
    """What a program is checked against: ``exact`` weights, and where XNNPACK has the backbone its int8 steps."""
    model = compressed.to_torch()
    if convolutions == INT8:
        model.backbone = fold_backbone(compressed, MIXED, INT8)
    return model


def semantics_of(model: object, asked: str | None) -> str:
    """The semantics asked for, else the one its recipe says, else ``mixed``."""
    recipe = model.recipe if isinstance(model, CompressedModel) else {}
    found = asked or str(recipe.get("semantics", MIXED))
    require_semantics(found)
    return found


def require_semantics(semantics: str) -> None:
    """Raises ExportError for a name that is not one of SEMANTICS."""
    if semantics not in SEMANTICS:
        raise ExportError("unknown semantics", found=repr(semantics), allowed=", ".join(SEMANTICS))


def for_kernels(lut: LutTensor, fast: bool) -> LutTensor:
    """The layer as the kernels want it: 8-bit codes of the int8 kernels lie on the int8 grid."""
    return reference.on_grid(lut) if fast and lut.bits == 8 else lut


def fold_network(
    network: nn.Module,
    layers: Mapping[str, LutTensor],
    biases: Mapping[str, np.ndarray],
    fast: Mapping[str, bool],
) -> fx.GraphModule:
    """A network with every convolution and linear layer replaced by its packed form.

    Args:
        network: in eval mode, batch norm folded; its values do not matter.
        layers, biases, fast: by the layers' names in it.
    """
    graph = trace(network)
    modules = dict(graph.named_modules())
    called = [node for node in graph.graph.nodes if node.op == "call_module"]
    for node in called:
        module, name = modules[node.target], str(node.target)
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            activation = _fuse_activation(graph, node, modules)
            lut, bias = layers[name], biases.get(name)
            folded: nn.Module = (
                LutConv2d(lut, bias, module, fast=fast[name], activation=activation)
                if isinstance(module, nn.Conv2d)
                else LutLinear(lut, bias, fast=fast[name], activation=activation)
            )
            replace_module(graph, name, folded)
    for node in called:
        if isinstance(modules[node.target], nn.MaxPool2d):
            _fuse_pool(graph, node, modules[node.target])
    graph.graph.lint()
    graph.recompile()
    graph.delete_all_unused_submodules()
    return graph


def _bypass(graph: fx.GraphModule, node: fx.Node) -> None:
    node.replace_all_uses_with(node.args[0])
    graph.graph.erase_node(node)


def _fuse_activation(graph: fx.GraphModule, node: fx.Node, modules: dict[str, nn.Module]) -> int:
    """The activation that is the only user of ``node``, taken out of the graph."""
    users = list(node.users)
    if len(users) != 1 or users[0].op != "call_module":
        return reference.NONE
    activation = _ACTIVATIONS.get(type(modules[users[0].target]), reference.NONE)
    if activation:
        users[0].replace_all_uses_with(node)
        graph.graph.erase_node(users[0])
    return activation


def _fuse_pool(graph: fx.GraphModule, node: fx.Node, module: nn.MaxPool2d) -> None:
    """Max pooling into the convolutions whose output, or whose outputs side by side, it alone reads."""
    pool = _plain_pool(module)
    convolutions = _sources(node)
    if pool is None or any(not _is_convolution(graph, source) for source in convolutions):
        return
    for source in convolutions:
        graph.get_submodule(str(source.target)).pool = pool.to_list()
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

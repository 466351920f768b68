"""Masks and codebooks -> packed layers: the module a program is made of."""

from __future__ import annotations

import operator

from torch import Tensor, fx, nn

from pocketvlad.compress.compressed import CompressedModel
from pocketvlad.errors import ExportError
from pocketvlad.lut import reference
from pocketvlad.lut.layers import LutConv2d, LutLinear, LutVladPool
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.backbones import build_backbone
from pocketvlad.model.netvlad import unit_length

EXACT, FAST, MIXED = "exact", "fast", "mixed"
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


def fold(compressed: CompressedModel, semantics: str = MIXED) -> FoldedModel:
    """Every layer of ``compressed`` as a packed module, activations fused into their convolutions.

    Fast 8-bit layers are re-coded onto the int8 grid (the results do not change).

    Args:
        compressed: of any recipe.
        semantics: ``exact``, ``fast``, or ``mixed``: the whitening fast, everything else exact. The whitening
            is the bulk of the bytes and bound by memory, where int8 pays and costs little accuracy; the
            convolutions of a per-tensor codebook lose much more to int8 than they gain.
    """
    require_semantics(semantics)
    fast, fast_whitening = semantics == FAST, semantics in (FAST, MIXED)
    layers = {
        name: _for_kernels(lut, fast_whitening if name == "whitening" else fast)
        for name, lut in compressed.layers.items()
    }
    backbone = _fold_backbone(compressed, layers, fast)
    pool = LutVladPool(
        layers["pool.assignment"],
        compressed.biases.get("pool.assignment"),
        compressed.centroids,
        compressed.centroid_scale,
        fast=fast,
    )
    whitening = None
    if "whitening" in layers:
        whitening = LutLinear(layers["whitening"], compressed.biases.get("whitening"), fast=fast_whitening)
    return FoldedModel(backbone, pool, whitening).eval()


def require_semantics(semantics: str) -> None:
    """Raises ExportError for a name that is not one of SEMANTICS."""
    if semantics not in SEMANTICS:
        raise ExportError("unknown semantics", found=repr(semantics), allowed=", ".join(SEMANTICS))


def _for_kernels(lut: LutTensor, fast: bool) -> LutTensor:
    return reference.on_grid(lut) if fast and lut.bits == 8 else lut


def _fold_backbone(compressed: CompressedModel, layers: dict[str, LutTensor], fast: bool) -> fx.GraphModule:
    graph = fx.symbolic_trace(build_backbone(compressed.config.backbone))
    modules = dict(graph.named_modules())
    for node in list(graph.graph.nodes):
        if node.op != "call_module":
            continue
        module = modules[node.target]
        if isinstance(module, nn.Identity):
            _bypass(graph, node)
        elif isinstance(module, nn.Conv2d):
            activation = _fuse_activation(graph, node, modules)
            name = f"backbone.{node.target}"
            folded = LutConv2d(
                layers[name], compressed.biases.get(name), module, fast=fast, activation=activation
            )
            _replace_module(graph, node.target, folded)
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


def _replace_module(graph: fx.GraphModule, target: str, module: nn.Module) -> None:
    parent, _, name = target.rpartition(".")
    setattr(operator.attrgetter(parent)(graph) if parent else graph, name, module)

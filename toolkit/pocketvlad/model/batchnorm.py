"""Batch norm folded into the layer before it, wherever the graph has it."""

from __future__ import annotations

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_VECTORS = 2  # dimensions of a batch of them


def fold_batch_norm(network: nn.Module) -> None:
    """Fold every batch norm that alone reads a convolution into it, in place; the norm becomes nothing.

    Args:
        network: in eval mode, symbolically traceable; on any device, ``meta`` too.
    """
    fold_in_graph(fx.symbolic_trace(network), network)


def fold_in_graph(graph: fx.GraphModule, network: nn.Module) -> None:
    """The same with the graph of ``network`` at hand; ``graph`` may be ``network`` itself.

    Linear layers only where the graph knows the shapes of its nodes (``fx.passes.shape_prop``): behind one over tokens
    a norm's channels are not the layer's outputs.
    """
    modules = dict(network.named_modules())
    calls = [str(node.target) for node in graph.graph.nodes if node.op == "call_module"]
    for node in graph.graph.nodes:
        norm, source = _norm_and_source(node, modules)
        if norm is None or source is None or calls.count(source) > 1 or calls.count(str(node.target)) > 1:
            continue
        layer = modules[source]
        fuse = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
        _set(network, source, fuse(layer, norm))  # type: ignore[arg-type]
        _set(network, str(node.target), nn.Identity())


def _norm_and_source(node: fx.Node, modules: dict[str, nn.Module]) -> tuple[nn.Module | None, str | None]:
    """A batch norm and the name of the layer it alone reads."""
    if node.op != "call_module" or not isinstance(modules.get(str(node.target)), NORMS):
        return None, None
    source = node.args[0]
    if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
        return None, None
    layer, norm = modules[str(source.target)], modules[str(node.target)]
    fits = isinstance(layer, (nn.Conv1d, nn.Conv2d)) or (
        isinstance(layer, nn.Linear) and _gives_vectors(source)
    )
    return (norm, str(source.target)) if fits and norm.track_running_stats else (None, None)


def _gives_vectors(node: fx.Node) -> bool:
    """Whether a node is known to give one vector for each input, [B, C]."""
    known = node.meta.get("tensor_meta")
    return known is not None and len(known.shape) == _VECTORS


def _set(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)

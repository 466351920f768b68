"""A network as a graph whose convolutions and linear layers are modules under their own names.

Symbolic tracing keeps a network's modules as they are. Where Python decides by values, or a module of torch hides its
layers (multi-head attention), the network is exported for an example's shapes, and its layers made modules again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from pocketvlad.compress.layers import KINDS
from pocketvlad.errors import RecipeError
from pocketvlad.model.batchnorm import NORMS, fold_in_graph

_ATEN = torch.ops.aten
_FUNCTIONS = (nn.functional.linear, nn.functional.conv1d, nn.functional.conv2d)
_WITH_WEIGHTS = (
    _ATEN.linear.default,
    _ATEN.conv1d.default,
    _ATEN.conv2d.default,
    _ATEN.batch_norm.default,
)


def traced(network: nn.Module, example: Sequence[Tensor] | None = None) -> fx.GraphModule:
    """The graph of a network in eval mode, without modules that do nothing; values are shared with it.

    Args:
        network: a graph of this function is returned as it is.
        example: one input, for networks that cannot be traced by symbols.

    Raises:
        RecipeError: the network cannot be traced.
    """
    if isinstance(network, fx.GraphModule):
        return _without_nothing(fx.GraphModule(network, network.graph))
    try:
        graph: fx.GraphModule | None = fx.symbolic_trace(network)
    except Exception as error:  # whatever a network does to a proxy that it cannot do
        graph, reason = None, error
    if graph is not None and not _hides_layers(graph):
        return _without_nothing(graph)
    if example is None:
        why = "layers inside a module of torch" if graph is not None else str(reason).split("\n", 1)[0]
        raise RecipeError(
            f"{type(network).__name__} cannot be traced by symbols", found=why, do="give an example input"
        )
    return _without_nothing(_exported(network, tuple(example)))


def as_graph(network: nn.Module, example: Sequence[Tensor]) -> fx.GraphModule:
    """Any network as the graph that takes its place: batch norm folded, values of its own.

    Raises:
        RecipeError: the network cannot be traced, or its graph computes something else on the example.
    """
    network = network.eval()
    graph = traced(network, example)
    with torch.no_grad():
        ShapeProp(graph).propagate(*example)
        fold_in_graph(graph, graph)
        graph = _without_nothing(graph)
        if not _same(graph(*example), network(*example)):
            graph = traced(_exported(network, tuple(example)))
            if not _same(graph(*example), network(*example)):
                raise RecipeError(f"the traced {type(network).__name__} computes something else")
    return graph


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, Tensor):
        return isinstance(found, Tensor) and torch.allclose(found, wanted, rtol=1e-3, atol=1e-4)
    if isinstance(wanted, (tuple, list)):
        return len(found) == len(wanted) and all(_same(f, w) for f, w in zip(found, wanted, strict=True))
    return False


def _hides_layers(graph: fx.GraphModule) -> bool:
    """Whether a module called as a whole has layers inside, or a function takes a parameter as its weight."""
    for node in graph.graph.nodes:
        if node.op == "call_module":
            inside = list(graph.get_submodule(str(node.target)).modules())[1:]
            if any(isinstance(module, KINDS) for module in inside) or _is_attention(graph, node):
                return True
        if node.op == "call_function" and node.target in _FUNCTIONS and _reads_parameter(graph, node):
            return True
    return False


def _reads_parameter(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a functional layer's weight is learned, not a constant such as the band of a normalisation."""
    weight = node.args[1] if len(node.args) > 1 else node.kwargs.get("weight")
    attribute = isinstance(weight, fx.Node) and weight.op == "get_attr"
    return attribute and isinstance(_attribute(graph, weight), nn.Parameter)


def _is_attention(graph: fx.GraphModule, node: fx.Node) -> bool:
    return isinstance(graph.get_submodule(str(node.target)), nn.MultiheadAttention)


def _without_nothing(graph: fx.GraphModule) -> fx.GraphModule:
    modules = dict(graph.named_modules())
    for node in list(graph.graph.nodes):
        if node.op == "call_module" and isinstance(modules.get(str(node.target)), (nn.Identity, nn.Dropout)):
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    graph.recompile()
    return graph


def _exported(network: nn.Module, example: tuple[Tensor, ...]) -> fx.GraphModule:
    """The network by torch.export, its layers and batch norms made modules again."""
    try:
        exported = torch.export.export(network, example, strict=False)
        graph = exported.module(check_guards=False)
    except (RuntimeError, ValueError, TypeError, torch._dynamo.exc.TorchDynamoException) as error:
        raise RecipeError(
            f"{type(network).__name__} cannot be traced", found=str(error).split("\n", 1)[0]
        ) from error
    for node in list(graph.graph.nodes):
        if node.op == "call_function" and node.target == _ATEN.dropout.default:
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
        elif node.op == "call_function" and node.target in _WITH_WEIGHTS:
            _make_module(graph, node, network)
    graph.graph.eliminate_dead_code()
    single = exported.call_spec.out_spec.is_leaf()
    return fx.GraphModule(graph, _plain_graph(graph.graph, single=single)).eval()


def _plain_graph(graph: fx.Graph, *, single: bool) -> fx.Graph:
    """The same graph with ordinary inputs and outputs instead of export's trees."""
    found = fx.Graph()
    results: Any = found.graph_copy(graph, {})
    found.output(results[0] if single else results)
    return found


def _make_module(graph: fx.GraphModule, node: fx.Node, network: nn.Module) -> None:
    """A functional layer with a parameter as its weight -> a call of the module that has it."""
    arguments: Any = node.args
    x, weight = arguments[:2]
    if not isinstance(weight, fx.Node) or weight.op != "get_attr":
        return
    key = str(weight.target)
    name, _, last = key.rpartition(".")
    owner = network.get_submodule(name)
    if last != "weight" or not isinstance(owner, (*KINDS, *NORMS)):
        if node.target != _ATEN.linear.default:
            return
        name, owner = f"{key}_layer", _linear(graph, node)
    parent, _, last = name.rpartition(".")
    if not isinstance(getattr(graph.get_submodule(parent), last, None), (*KINDS, *NORMS)):
        setattr(graph.get_submodule(parent), last, owner)
    with graph.graph.inserting_after(node):
        call = graph.graph.call_module(name, (x,))
    node.replace_all_uses_with(call)
    graph.graph.erase_node(node)


def _linear(graph: fx.GraphModule, node: fx.Node) -> nn.Linear:
    """A linear layer of bare parameters, such as attention's projection of its input."""
    weight, bias = (_attribute(graph, each) for each in [*node.args, None][1:3])
    layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight, layer.bias = weight, bias
    return layer


def _attribute(graph: nn.Module, node: Any) -> Any:
    if not isinstance(node, fx.Node):
        return None
    parent, _, last = str(node.target).rpartition(".")
    return getattr(graph.get_submodule(parent), last)

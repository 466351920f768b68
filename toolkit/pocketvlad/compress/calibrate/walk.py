"""Runs the uncompressed and the compressed network side by side, one node at a time, over all examples.

Each layer is compressed when its inputs in both networks are known, so that it can make up for what the layers before
it lost; only the activations that are still needed are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor, fx, nn

from pocketvlad.compress.layers import Layer
from pocketvlad.threads import in_order, one_thread

ACTIVATION_BYTES = 4_000_000_000  # both networks' live activations, bounds the examples looked at
MAX_EXAMPLES = 64
Inputs = Sequence[tuple[Any, ...]]  # one tuple of arguments for each example
# (name, layer, node, its input on every example in the uncompressed and in the compressed network) -> its stand-in
Replace = Callable[[str, Layer, fx.Node, list[Tensor], list[Tensor]], nn.Module]
Observe = Callable[[fx.Node, list[Any]], list[Any]]
Values = dict[fx.Node, tuple[list[Any], list[Any]]]


class Walk:
    """One walk over a graph.

    Args:
        graph: the uncompressed network.
        wanted: names of the layers to replace.

    Attributes:
        replaced: the stand-ins so far.
    """

    def __init__(self, graph: fx.GraphModule, wanted: frozenset[str]):
        self.graph, self.wanted = graph, wanted
        self.replaced: dict[str, nn.Module] = {}
        self._modules = dict(graph.named_modules())
        self._places = {node: i for i, node in enumerate(_placeholders(graph))}
        calls = [node for node in graph.graph.nodes if self._layer_of(node) is not None]
        self._last = calls[-1] if calls else None

    @one_thread()
    def run(
        self, reference: Inputs, compressed: Inputs, replace: Replace, observe: Observe | None = None
    ) -> fx.GraphModule:
        """Replace every wanted layer in the order they run; a layer used twice by its first inputs.

        Args:
            reference, compressed: the examples as they reach the graph in both networks.
            replace: makes a layer's stand-in.
            observe: (node, its outputs on every example in the compressed network) -> what the nodes after it see.

        Returns:
            The compressed network.
        """
        values: Values = {}
        uses = {node: len(node.users) for node in self.graph.graph.nodes}
        for node in self.graph.graph.nodes:
            if node.op == "output":
                break
            name = self._layer_of(node)
            if name is not None and name not in self.replaced:
                inputs = values[node.all_input_nodes[0]]
                layer: Any = self._modules[name]
                self.replaced[name] = replace(name, layer, node, *inputs)
            if node is self._last and observe is None:
                break
            plain, outputs = self._outputs(node, reference, compressed, values)
            values[node] = plain, outputs if observe is None else observe(node, outputs)
            for argument in node.all_input_nodes:
                uses[argument] -= 1
                if uses[argument] == 0:
                    del values[argument]
        return with_modules(self.graph, self.replaced)

    def input_of(self, wanted: fx.Node, arguments: tuple[Any, ...], *, compressed: bool) -> Tensor:
        """What a layer's node reads on one example, in the uncompressed network or as far as it is compressed."""
        modules = self._modules | self.replaced if compressed else self._modules
        values: dict[fx.Node, Any] = {}
        for node in self.graph.graph.nodes:
            if node is wanted:
                break
            if node.op == "placeholder":
                values[node] = arguments[self._places[node]]
            else:
                values[node] = _call(self.graph, node, modules, values)
        return values[wanted.all_input_nodes[0]]

    def _layer_of(self, node: fx.Node) -> str | None:
        return str(node.target) if node.op == "call_module" and node.target in self.wanted else None

    def _outputs(
        self, node: fx.Node, reference: Inputs, compressed: Inputs, values: Values
    ) -> tuple[list[Any], list[Any]]:
        """The node's outputs on every example, in the uncompressed and the compressed network."""
        if node.op == "placeholder":
            place = self._places[node]
            return [each[place] for each in reference], [each[place] for each in compressed]
        sides = (self._modules, self._modules | self.replaced)
        plain, outputs = (
            list(in_order(partial(self._output, node, values, side, modules), range(len(reference))))
            for side, modules in enumerate(sides)
        )
        return plain, outputs

    def _output(
        self, node: fx.Node, values: Values, side: int, modules: Mapping[str, nn.Module], example: int
    ) -> Any:
        return _call(self.graph, node, modules, {n: values[n][side][example] for n in node.all_input_nodes})


def _placeholders(graph: fx.GraphModule) -> list[fx.Node]:
    return [node for node in graph.graph.nodes if node.op == "placeholder"]


def _call(
    graph: fx.GraphModule, node: fx.Node, modules: Mapping[str, nn.Module], values: Mapping[fx.Node, Any]
) -> Any:
    """A node's output from those of its arguments."""
    args = fx.map_arg(node.args, lambda n: values[n])
    kwargs = fx.map_arg(node.kwargs, lambda n: values[n])
    if node.op == "get_attr":
        parent, _, name = str(node.target).rpartition(".")
        return getattr(graph.get_submodule(parent), name)
    if node.op == "call_module":
        return modules[str(node.target)](*args, **kwargs)
    if node.op == "call_method":
        return getattr(args[0], str(node.target))(*args[1:], **kwargs)
    return node.target(*args, **kwargs)  # type: ignore[operator]


def with_modules(graph: fx.GraphModule, replaced: Mapping[str, nn.Module]) -> fx.GraphModule:
    """A graph of the same nodes with other modules in some places."""
    found = fx.GraphModule(graph, graph.graph)
    for name, module in replaced.items():
        parent, _, last = name.rpartition(".")
        setattr(found.get_submodule(parent), last, module)
    return found


def example_limit(network: nn.Module, example: tuple[Any, ...]) -> int:
    """How many examples of this size fit :data:`ACTIVATION_BYTES`, at most :data:`MAX_EXAMPLES`."""
    largest = [each.numel() for each in example if isinstance(each, Tensor)]
    hooks = [
        module.register_forward_hook(lambda m, i, output: largest.append(_values(output)))
        for module in network.modules()
        if not list(module.children())
    ]
    try:
        network(*example)
    finally:
        for hook in hooks:
            hook.remove()
    # an input and an output of the largest node live at once, in both networks
    return max(1, min(MAX_EXAMPLES, ACTIVATION_BYTES // (4 * 4 * max(largest))))


def _values(output: Any) -> int:
    if isinstance(output, Tensor):
        return output.numel()
    return sum(_values(each) for each in output) if isinstance(output, (tuple, list)) else 0

"""Any torch module of convolutions and linear layers, compressed by its inputs."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pocketvlad.compress.compressed import Compressed
from pocketvlad.compress.graph import as_graph
from pocketvlad.compress.post_training import as_inputs, compress_network
from pocketvlad.compress.recipe import Recipe
from pocketvlad.errors import RecipeError
from pocketvlad.progress import Progress

Inputs = Tensor | Sequence[tuple[Tensor, ...]]


def compress_module(
    module: nn.Module, recipe: Recipe, inputs: Inputs | None, progress: Progress | None = None
) -> Compressed:
    """Compress a module; it is left as it is.

    Args:
        module: the module.
        recipe: options per layer.
        inputs: float32 [N, ...], or for each example a tuple of arguments, a batch of 1.
        progress: called with layers done and in all.

    Raises:
        RecipeError: there are no inputs, or the module cannot be traced.
    """
    graph = graph_of(module, inputs)
    return compress_network(graph, recipe, calibration=inputs, progress=progress)


def graph_of(module: nn.Module, inputs: Inputs | None) -> nn.Module:
    """The module as the graph that is compressed in its place; errors as :func:`compress_module`."""
    examples = as_inputs(inputs if inputs is not None else ())
    if not examples:
        raise RecipeError(
            f"the inputs of {type(module).__name__} are not known",
            do="give inputs: examples of what it is called with",
        )
    return as_graph(module, examples[0])

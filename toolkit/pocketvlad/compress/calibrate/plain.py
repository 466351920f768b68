"""What the layers of an uncompressed network read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from pocketvlad.compress.calibrate.moments import Moments, layer_moments
from pocketvlad.compress.calibrate.views import enough_examples
from pocketvlad.compress.calibrate.walk import Inputs, Walk, example_limit
from pocketvlad.compress.graph import traced
from pocketvlad.compress.layers import Layer, compressible_layers, vector_layers
from pocketvlad.model.network import Network
from pocketvlad.model.roles import ASSIGNMENT
from pocketvlad.threads import one_thread


@one_thread()
def plain_moments(network: Network, examples: Inputs) -> dict[str, Moments]:
    """Moments of the inputs of every layer that reads several rows of an example."""
    found: dict[str, Moments] = {}
    vectors, roles = vector_layers(network, examples[0]), network.roles()
    parts = network.parts()
    reached = enough_examples(examples, example_limit(parts[0][1], examples[0]))
    for prefix, part in parts:
        inside = {f"{prefix}{name}" for name in compressible_layers(part)} - vectors
        if not inside:
            break
        generator = torch.Generator().manual_seed(0)

        def keep(
            name: str, layer: Layer, node: fx.Node, z: list[Tensor], x: list[Tensor], prefix: str = prefix
        ) -> nn.Module:
            full = f"{prefix}{name}"
            shuffled = roles[full] == ASSIGNMENT
            found[full] = layer_moments(layer, z, x, generator, shuffled=shuffled)  # noqa: B023
            return layer

        walk = Walk(traced(part), frozenset(name.removeprefix(prefix) for name in inside))
        walk.run(reached, reached, keep)
        reached = [(part(*each),) for each in reached]
    return found


def inputs_of(network: nn.Module, name: str, photos: Sequence[Tensor]) -> Tensor:
    """What the linear layer ``name`` reads of each photo, float32 [M, V].

    Args:
        network: the network.
        name: of a layer that reads one row of a photo.
        photos: float32 [3, H, W] each.
    """
    rows: list[Any] = []
    hook = network.get_submodule(name).register_forward_pre_hook(
        lambda layer, inputs: rows.append(inputs[0].reshape(-1))
    )
    try:
        for photo in photos:
            network(photo[None])
    finally:
        hook.remove()
    return torch.stack(rows)

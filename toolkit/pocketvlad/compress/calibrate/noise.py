"""How much noise in each layer's weights shows in the outputs: where bits are needed.

Noise of a layer's weights moves the outputs by its Jacobian J. With random v, the gradient of ``v . outputs`` is J^T v,
so that one backward pass gives an estimate of ``|J noise|^2`` for all layers at once (Hutchinson's trace estimator, as
in Dong et al., "HAWQ-V2", NeurIPS 2020). What all examples share is taken off the outputs: it tells nothing apart.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pocketvlad.compress.calibrate.arithmetic import first_tensor
from pocketvlad.compress.calibrate.walk import Inputs
from pocketvlad.compress.layers import compressible_layers
from pocketvlad.threads import one_thread

EXAMPLES, PROBES = 8, 2
_LEAST = 1e-6  # of the largest cost: an estimate may come out as 0


@one_thread()
def noise_costs(network: nn.Module, examples: Inputs) -> dict[str, float]:
    """What noise as large as a layer's weights, row by row, costs in each layer, were its effect that of small noise.

    Args:
        network: uncompressed.
        examples: inputs; :data:`EXAMPLES` of them, evenly spread, are looked at.

    Returns:
        By the layer's name: the squared change of the outputs over the sum of squares of what tells them apart. Empty
        where the outputs have no derivative by the weights.
    """
    layers = compressible_layers(network)
    chosen = examples[:: -(-len(examples) // EXAMPLES)]
    with torch.no_grad():
        signal = float(_centred(torch.stack([_output(network, {}, each) for each in chosen])).square().sum())
    generator = torch.Generator().manual_seed(0)
    found = dict.fromkeys(layers, 0.0)
    for _ in range(PROBES):
        weights = {f"{name}.weight": each.weight.detach().requires_grad_() for name, each in layers.items()}
        if not _pulled(network, weights, chosen, generator):
            return {}
        for name, layer in layers.items():
            gradient = weights[f"{name}.weight"].grad
            if gradient is not None:
                found[name] += _cost(gradient, layer.weight.detach()) / (PROBES * max(signal, 1e-30))
    least = _LEAST * max(found.values(), default=0.0)
    return {name: max(cost, least) for name, cost in found.items()} if least > 0 else {}


def _pulled(
    network: nn.Module, weights: dict[str, Tensor], examples: Inputs, generator: torch.Generator
) -> bool:
    """Sums the gradients of one random direction of all outputs; False: there are none."""
    outputs = _output(network, {}, examples[0]).numel()
    directions = _centred(torch.randn(len(examples), outputs, generator=generator))
    try:
        for direction, example in zip(directions, examples, strict=True):
            with torch.enable_grad():
                (_output(network, weights, example) @ direction).backward()
    except RuntimeError:  # an operation without a derivative
        return False
    return True


def _output(network: nn.Module, weights: dict[str, Tensor], example: tuple[Tensor, ...]) -> Tensor:
    return first_tensor(functional_call(network, weights, example)).flatten()


def _centred(rows: Tensor) -> Tensor:
    return rows - rows.mean(dim=0) if len(rows) > 1 else rows


def _cost(gradient: Tensor, weight: Tensor) -> float:
    """Each row's squared gradient times its mean squared weight."""
    return float((gradient.flatten(1).square().sum(dim=1) * weight.flatten(1).square().mean(dim=1)).sum())

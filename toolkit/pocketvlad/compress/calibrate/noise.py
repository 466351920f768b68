"""How much noise in each layer's weights shows in the outputs, and what wide layers read: where bits are needed.

Noise of a layer's weights moves the outputs by its Jacobian J. With random v, the gradient of ``v . outputs`` is J^T v,
so that one backward pass gives an estimate of ``|J noise|^2`` for all layers at once (Hutchinson's trace estimator, as
in Dong et al., "HAWQ-V2", NeurIPS 2020). What all examples share is taken off the outputs: it tells nothing apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pocketvlad.compress.calibrate.arithmetic import first_tensor
from pocketvlad.compress.calibrate.walk import Inputs
from pocketvlad.compress.layers import compressible_layers
from pocketvlad.threads import one_thread

EXAMPLES, PROBES = 8, 2
_LEAST = 1e-6  # of the largest cost: an estimate may come out as 0


@dataclass(frozen=True, eq=False)
class NoiseCosts:
    """What is known of errors in each layer's weights; empty: nothing.

    Attributes:
        costs: of noise as large as a layer's weights, row by row, were its effect that of small noise: the squared
            change of the outputs over the sum of squares of what tells them apart.
        inputs: what linear layers that multiply one row for each example read, about its mean, float32 [M, I]. Errors
            of such a layer are no noise to them: the rows of a PCA whitening are made of what it reads, so that a
            weight that is pruned takes part of every answer with it.
    """

    costs: Mapping[str, float] = field(default_factory=dict)
    inputs: Mapping[str, Tensor] = field(default_factory=dict)


@one_thread()
def noise_costs(network: nn.Module, examples: Inputs) -> NoiseCosts:
    """What errors cost in each layer.

    Args:
        network: uncompressed.
        examples: inputs; :data:`EXAMPLES` of them, evenly spread, are looked at.

    Returns:
        By the layers' names. Empty where the outputs have no derivative by the weights.
    """
    layers = compressible_layers(network)
    chosen = examples[:: -(-len(examples) // EXAMPLES)]
    with torch.no_grad(), _read_by(network) as read:
        signal = float(_centred(torch.stack([_output(network, {}, each) for each in chosen])).square().sum())
    generator = torch.Generator().manual_seed(0)
    found = dict.fromkeys(layers, 0.0)
    for _ in range(PROBES):
        weights = {f"{name}.weight": each.weight.detach().requires_grad_() for name, each in layers.items()}
        if not _pulled(network, weights, chosen, generator):
            return NoiseCosts()
        for name, layer in layers.items():
            gradient = weights[f"{name}.weight"].grad
            if gradient is not None:
                found[name] += _cost(gradient, layer.weight.detach()) / (PROBES * max(signal, 1e-30))
    least = _LEAST * max(found.values(), default=0.0)
    if not least > 0:
        return NoiseCosts()
    inputs = {name: _centred(torch.stack(rows)) for name, rows in read.items() if len(rows) == len(chosen)}
    return NoiseCosts({name: max(cost, least) for name, cost in found.items()}, inputs)


@contextmanager
def _read_by(network: nn.Module) -> Iterator[dict[str, list[Tensor]]]:
    """The single rows that linear layers read meanwhile, by the layers' names."""
    read: dict[str, list[Tensor]] = {}
    handles = []
    for name, layer in compressible_layers(network).items():
        if isinstance(layer, nn.Linear):

            def note(linear: nn.Module, given: tuple[Tensor, ...], name: str = name) -> None:
                if given[0].numel() == linear.in_features:
                    read.setdefault(name, []).append(given[0].detach().flatten())

            handles.append(layer.register_forward_pre_hook(note))
    try:
        yield read
    finally:
        for handle in handles:
            handle.remove()


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

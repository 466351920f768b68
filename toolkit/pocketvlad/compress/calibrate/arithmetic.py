"""Which layers may compute in int8: measured, since a few with heavy-tailed inputs lose nearly all of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from pocketvlad.compress.calibrate.walk import Inputs
from pocketvlad.compress.codes.int8 import quantized_like
from pocketvlad.threads import in_order, one_thread

ALONE = 0.001  # of what tells the outputs apart
_ALIKE = 1e-4  # of their length: outputs nearer to each other tell nothing
_EXAMPLES = 6
_RUNS = 180  # of the network, one for each layer and example: of deep networks fewer examples are looked at


@one_thread()
@torch.no_grad()
def int8_layers(
    network: nn.Module, examples: Inputs, allowed: float, among: Collection[str]
) -> frozenset[str]:
    """Names of the layers whose 8-bit activations cost little together.

    Args:
        network: uncompressed; its layers are called under the names in ``among``.
        examples: inputs; a few of them are looked at.
        allowed: of 1 - cosine, the sum over the layers chosen, each alone; losses this small add up well. Where all
            outputs are nearly alike, no layer alone costs more than :data:`ALONE`, or ``allowed`` if that is more,
            of what tells them apart.
        among: the layers asked about.
    """
    count = min(_EXAMPLES, max(1, _RUNS // max(1, len(among))))
    chosen = examples[:: -(-len(examples) // count)]
    losses = {name: 0.0 for name, _ in network.named_modules() if name in among}
    outputs = []
    for found_losses, output in in_order(partial(_losses, network, among=among), chosen):
        outputs.append(output)
        for name, loss in found_losses.items():
            losses[name] += loss / len(chosen)
    alone = max(ALONE, allowed) * _apart(torch.cat(outputs))
    found, total = set(), 0.0
    for name in sorted(losses, key=lambda name: losses[name]):
        total += max(losses[name], 0.0)
        if total >= allowed or losses[name] > alone:
            break
        found.add(name)
    return frozenset(found)


def _apart(outputs: Tensor) -> float:
    """How far directions, float32 [examples, values], lie from their mean: 1 where they have nothing in common."""
    if len(outputs) < 2:
        return 1.0
    variance = float((outputs - outputs.mean(dim=0)).square().sum()) / (len(outputs) - 1)
    return max(variance, _ALIKE)


def _losses(
    network: nn.Module, example: tuple[Any, ...], among: Collection[str]
) -> tuple[dict[str, float], Tensor]:
    """1 - cosine of each layer that runs with its input quantized, and the output of none, float32 [1, values].

    Layers before it are not computed again.
    """
    values = {id(each): each for each in chain(network.parameters(), network.buffers())}
    network = copy.deepcopy(network, values)  # with hooks of its own
    layers = {name: layer for name, layer in network.named_modules() if name in among}
    outputs: dict[str, list[Tensor]] = {}
    with ExitStack() as hooks:
        for name, layer in layers.items():
            hooks.callback(layer.register_forward_hook(_recorder(outputs, name)).remove)
        wanted = outputs_of(network, [example])
    losses = {}
    for name, results in outputs.items():  # in the order they ran
        hook = layers[name].register_forward_pre_hook(_quantize)
        losses[name] = float(1 - (outputs_of(network, [example]) * wanted).sum())
        hook.remove()
        if len(results) == 1:
            vars(layers[name])["forward"] = _answer(results[0])
    return losses, wanted


def _answer(output: Tensor) -> Callable[..., Tensor]:
    """A layer's forward that does not compute but says what it said before."""
    return lambda *inputs: output.clone()


def _recorder(outputs: dict[str, list[Tensor]], name: str) -> Callable[..., None]:
    def record(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        outputs.setdefault(name, []).append(output.clone())  # what comes next may write into it

    return record


def _quantize(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (quantized_like(layer, inputs[0]), *inputs[1:])


def outputs_of(network: Callable[..., Any], examples: Inputs) -> Tensor:
    """Outputs as directions, float32 [examples, values]; descriptors have unit length already."""
    rows = torch.stack([first_tensor(network(*each)).flatten() for each in examples])
    norms = rows.norm(dim=1, keepdim=True)
    return rows if bool((norms - 1).abs().max() < 1e-5) else rows / norms.clamp_min(1e-12)


def first_tensor(output: Any) -> Tensor:
    """A network's output, or the first of several."""
    return output if isinstance(output, Tensor) else first_tensor(next(iter(output)))

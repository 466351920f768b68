"""Which layers compress, and how each sees its input: convolutions in one and two dimensions, and linear layers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pocketvlad.lut.tensor import MAX_COLUMNS

Layer = nn.Conv1d | nn.Conv2d | nn.Linear
KINDS = (nn.Conv1d, nn.Conv2d, nn.Linear)
_WEIGHTED = 2  # dimensions of a weight from which a layer left out is worth naming


def compressible_layers(network: nn.Module) -> dict[str, Layer]:
    """Every layer that can be compressed by module name; a module used twice has one name."""
    found = {name: module for name, module in network.named_modules() if isinstance(module, KINDS)}
    return {name: module for name, module in found.items() if _refusal(module) is None}


def layers_left(network: nn.Module) -> dict[str, str]:
    """Layers with weights that stay float32, each with the reason."""
    found = {}
    for name, module in network.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(module, KINDS):
            reason = _refusal(module)
        elif isinstance(weight, Tensor) and weight.dim() >= _WEIGHTED:
            reason = f"{type(module).__name__} has no packed form"
        else:
            reason = None
        if reason is not None:
            found[name] = reason
    return found


def _refusal(layer: Layer) -> str | None:
    """Why a convolution or linear layer cannot be packed; None where it can."""
    convolution = None if isinstance(layer, nn.Linear) else layer
    if convolution is not None and (
        isinstance(convolution.padding, str) or convolution.padding_mode != "zeros"
    ):
        return f"padding {convolution.padding!r} in mode {convolution.padding_mode!r} has no kernel"
    columns = layer.weight[0].numel()
    return f"{columns} inputs, at most {MAX_COLUMNS} fit" if columns > MAX_COLUMNS else None


@dataclass(frozen=True)
class Geometry:
    """A convolution's window as two dimensions have it; of a 1-D one the height is 1."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    @classmethod
    def of(cls, layer: nn.Conv1d | nn.Conv2d) -> Geometry:
        if isinstance(layer, nn.Conv1d):
            (k,), (s,), (d,) = layer.kernel_size, layer.stride, layer.dilation
            return cls((1, k), (1, s), (0, int(layer.padding[0])), (1, d))
        pads = tuple(int(side) for side in layer.padding)
        return cls(layer.kernel_size, layer.stride, pads, layer.dilation)  # type: ignore[arg-type]


@torch.no_grad()
def vector_layers(network: nn.Module, example: Sequence[Tensor]) -> frozenset[str]:
    """Names of the linear layers that multiply one row for each input; computed without values.

    Args:
        network: its values do not matter; it may have none.
        example: one input, a batch of 1.
    """
    empty = _without_values(network)
    rows: dict[str, int] = {}
    for name, module in empty.named_modules():
        if isinstance(module, nn.Linear):
            module.register_forward_pre_hook(_recorder(rows, name, module))
    try:
        with torch.device("meta"):
            empty(*(each.to("meta") for each in example))
    except (RuntimeError, NotImplementedError):  # it looks at values, or names a device
        return frozenset()
    return frozenset(name for name, count in rows.items() if count == 1)


def _without_values(network: nn.Module) -> nn.Module:
    """A copy on the meta device, no value copied on the way."""
    held = (*network.named_parameters(), *network.named_buffers())
    return copy.deepcopy(network, {id(each): each.detach().to("meta") for _, each in held})


def _recorder(rows: dict[str, int], name: str, layer: nn.Linear):
    def record(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        rows[name] = max(rows.get(name, 0), inputs[0].numel() // layer.in_features)

    return record

"""Several processes training one model (torchrun), or one process alone."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from torch import Tensor, distributed

from pocketvlad.errors import RecipeError


def training_device(name: str) -> torch.device:
    """The device called ``cpu``, ``cuda`` or ``mps``; each process of torchrun has a GPU of its own.

    Raises:
        RecipeError: this machine lacks it.
    """
    usable = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not usable.get(name):
        here = ", ".join(device for device, found in usable.items() if found)
        raise RecipeError("training cannot use this device", found=name, allowed=here)
    return torch.device(name, int(os.environ.get("LOCAL_RANK", 0))) if name == "cuda" else torch.device(name)


def sum_gradients(parameters: Iterable[Tensor], world: int) -> None:
    """Add up every parameter's gradient over the processes, in place; a missing one counts as 0."""
    if world == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        distributed.all_reduce(parameter.grad)


def sum_values(values: Tensor, world: int) -> Tensor:
    """The sum of a tensor over the processes."""
    if world > 1:
        distributed.all_reduce(values)
    return values

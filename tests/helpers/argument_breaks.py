"""Arguments that operators divide by or take on trust, changed in a program of portable kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from executorch.exir.scalar_type import ScalarType
from executorch.exir.schema import Double, Int, IntList
from torch import Tensor, nn

from helpers.program_breaks import add_value, calls_of


class Portable(nn.Module):
    """Float32 [1, 4, 8, 8] -> [1, 16, 4, 4]."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(4, 8, 3, padding=1, groups=2)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2, groups=2)
        self.norm = nn.GroupNorm(2, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.up(self.grouped(x)))
        x = nn.functional.avg_pool2d(nn.functional.max_pool2d(x, 2), 2)
        rows = x.view(1, 8, -1)
        x = torch.bmm(rows, rows.transpose(1, 2)).reshape(1, 4, 4, 4)
        x = torch.div(x, x.abs() + 1, rounding_mode="floor") + torch.fmod(x, 2.0)
        first, second = x.split((1, 3), dim=1)
        return torch.cat((second, x, first), dim=1)[:, :, ::2].repeat(1, 2, 2, 1)


def portable() -> np.ndarray:
    """Its program, of kernels of ExecuTorch's own."""
    from executorch.exir import ExecutorchBackendConfig, to_edge

    exported = torch.export.export(Portable().eval(), (torch.zeros(1, 4, 8, 8),))
    program = to_edge(exported).to_executorch(ExecutorchBackendConfig(remove_view_copy=False))
    return np.frombuffer(program.buffer, np.uint8).copy()


def call_of(program, name: str, nth: int = 0):
    """The n-th call of an operator."""
    operators = program.execution_plan[0].operators
    return [c for c in calls_of(program) if operators[c.op_index].name == name][nth]


def argument(name: str, at: int, value, *, nth: int = 0) -> Callable:
    """Another value as an argument: an int, a list of ints or a float."""

    def change(program) -> None:
        call_of(program, name, nth).args[at] = _added(program, value)

    return change


def _added(program, value: int | float | Sequence[int]) -> int:
    if isinstance(value, float):
        return add_value(program, Double(value))
    if isinstance(value, int):
        return add_value(program, Int(value))
    return add_value(program, IntList([add_value(program, Int(each)) for each in value]))


def tensor(name: str, at: int, change: Callable, *, nth: int = 0) -> Callable:
    """Changes the tensor that is an argument."""

    def apply(program) -> None:
        change(program.execution_plan[0].values[call_of(program, name, nth).args[at]].val)

    return apply


def as_ints(found) -> None:
    found.scalar_type = ScalarType.INT


def shorter(found) -> None:
    found.sizes = [found.sizes[0] - 1, *found.sizes[1:]]


def flat(found) -> None:
    found.sizes, found.dim_order = [math.prod(found.sizes)], [0]


BREAKS: dict[str, Callable] = {
    "a convolution of no stride": argument("aten::convolution", 3, [0, 0]),
    "a convolution of negative padding": argument("aten::convolution", 4, [-1, 0]),
    "a convolution of no dilation": argument("aten::convolution", 5, [1, 0]),
    "a convolution of no groups": argument("aten::convolution", 8, 0),
    "a convolution of a shorter bias": tensor("aten::convolution", 2, shorter),
    "a transposed convolution of a shorter bias": tensor("aten::convolution", 2, shorter, nth=1),
    "a group norm of no groups": argument("aten::native_group_norm", 6, 0),
    "a pooling of no window": argument("aten::max_pool2d_with_indices", 1, [0, 2]),
    "a pooling of no stride": argument("aten::max_pool2d_with_indices", 2, [2, 0]),
    "an average of no stride": argument("aten::avg_pool2d", 2, [0, 0]),
    "an average of no values": argument("aten::avg_pool2d", 6, 0),
    "a view of what is left of nothing": argument("aten::view_copy", 1, [-1, 0]),
    "a view of two sizes that are left": argument("aten::view_copy", 1, [-1, -1, 8]),
    "a product of what is no matrix": tensor("aten::bmm", 0, flat),
    "whole quotients of ints": tensor("aten::div", 0, as_ints),
    "remainders of ints": tensor("aten::fmod", 0, as_ints),
    "remainders of nothing": argument("aten::fmod", 1, 0.0),
    "a part of less than nothing": argument("aten::split_with_sizes_copy", 1, [-1, 5]),
    "a slice without steps": argument("aten::slice_copy", 4, 0),
    "a repetition of less than none": argument("aten::repeat", 1, [1, -1, 1, 1]),
}

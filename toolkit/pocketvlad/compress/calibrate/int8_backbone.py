"""A backbone that XNNPACK computes in int8 from the photo to the local features.

The weights are the integers that the ``fast`` lookup kernels compute with, so the same codes serve both; the
activations stay int8 between layers on grids that calibration fitted. It is the whole backbone or nothing: at every
change between the two kinds of kernels the activations would be converted to float32 and back, which costs what the
faster convolution saves.

The module computes the same in torch, in float32 on the values of the integers; XNNPACK may differ by a step of an
activation's grid where a sum lies within float32 rounding of the middle between two.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from pocketvlad.compress.calibrate.activations import quantized_at
from pocketvlad.compress.graph import traced
from pocketvlad.compress.grid import OPS, ActivationGrid
from pocketvlad.errors import ExportError
from pocketvlad.lut import reference
from pocketvlad.lut.tensor import LutTensor

_LARGEST = 127
_LARGEST_BIAS = 1 << 30  # in steps of the sums, which have the other half of int32
_SMALLEST_SCALE = 1e-30  # XNNPACK wants normal numbers, of its products too


class Int8Conv2d(nn.Module):
    """A convolution with int8 weights and a scale per output channel: float32 [B, C, H, W] -> [B, O, H', W'].

    Its bias is a whole number of steps of its int32 sums: input scale times weight scale. Where weights are so small
    beside the bias that it would not fit (dead channels, after batch norm is folded in), their scale is raised.
    """

    weight: Tensor
    scale: Tensor
    zero_point: Tensor
    bias: Tensor | None

    def __init__(self, lut: LutTensor, bias: np.ndarray | None, like: nn.Conv2d, input_scale: float):
        super().__init__()
        values = np.zeros(lut.rows, np.float32) if bias is None else np.abs(bias)
        weight, scale = rescaled(*channel_weights(lut), values / (input_scale * _LARGEST_BIAS))
        self.stride, self.padding = like.stride, like.padding
        self.dilation, self.groups = like.dilation, like.groups
        if bias is not None:
            step = scale * np.float32(input_scale)
            bias = np.rint(bias / step) * step
        self.register_buffer("weight", torch.from_numpy(weight))
        self.register_buffer("scale", torch.from_numpy(scale))
        self.register_buffer("zero_point", torch.zeros(len(scale), dtype=torch.int64))
        self.register_buffer("bias", None if bias is None else torch.from_numpy(bias))

    def forward(self, x: Tensor) -> Tensor:
        weight = OPS.dequantize_per_channel(
            self.weight, self.scale, self.zero_point, 0, -_LARGEST, _LARGEST, torch.int8
        )
        return functional.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class _Quantize(nn.Module):
    def __init__(self, grid: ActivationGrid):
        super().__init__()
        self.grid = grid

    def forward(self, x: Tensor) -> Tensor:
        return self.grid.quantize(x)


class _Dequantize(_Quantize):
    def forward(self, x: Tensor) -> Tensor:
        return self.grid.dequantize(x)


def channel_weights(lut: LutTensor) -> tuple[np.ndarray, np.ndarray]:
    """int8 weights of the layer's shape, -127 to 127, and the positive scale of each output channel, float32 [O]."""
    weight, scale = reference.integer_weights(lut)
    weight = np.where(scale[:, None] < 0, -weight, weight).astype(np.int8)
    return weight.reshape(lut.shape), np.where(scale != 0, np.abs(scale), 1 / _LARGEST).astype(np.float32)


def rescaled(weight: np.ndarray, scale: np.ndarray, least: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 weights [O, ...] and scales [O] with no scale below ``least`` [O]; the others as they are."""
    raised = np.maximum(scale, np.maximum(least, _SMALLEST_SCALE)).astype(np.float32)
    factor = (scale / raised).reshape(-1, *([1] * (weight.ndim - 1)))
    return np.rint(weight * factor).astype(np.int8), raised


def int8_backbone(
    network: nn.Module,
    layers: Mapping[str, LutTensor],
    biases: Mapping[str, np.ndarray],
    grids: Mapping[str, ActivationGrid],
) -> fx.GraphModule:
    """A network with int8 convolutions and int8 activations between them: float32 in, float32 out.

    Args:
        network: in eval mode, batch norm folded; its values do not matter.
        layers, biases: by the convolutions' names in it.
        grids: of activations, by the node's name.

    Raises:
        ExportError: the grids are not those of this network.
        RecipeError: see :func:`quantized_at`.
    """
    graph = traced(network)
    shared = quantized_at(graph)
    if set(shared.values()) != set(grids):
        wrong = sorted(set(shared.values()) ^ set(grids))
        raise ExportError(
            "the activation grids are not this network's", found=f"{wrong[0]}, and {len(wrong)} in all"
        )
    modules = dict(graph.named_modules())
    for node in list(graph.graph.nodes):
        module, name = modules.get(str(node.target)), str(node.target)
        if isinstance(module, nn.Conv2d):
            scale = grids[shared[node.args[0].name]].scale
            replace_module(graph, name, Int8Conv2d(layers[name], biases.get(name), module, scale))
    for node in list(graph.graph.nodes):
        if node.name in shared:
            _keep_in_int8(graph, node, grids[shared[node.name]])
    graph.graph.lint()
    graph.recompile()
    graph.delete_all_unused_submodules()
    return graph.eval()


def _keep_in_int8(graph: fx.GraphModule, node: fx.Node, grid: ActivationGrid) -> None:
    """Quantize a node's output; every reader dequantizes it for itself, as XNNPACK's partitioner has it."""
    down, up = f"{node.name}_quantize", f"{node.name}_dequantize"
    graph.add_submodule(down, _Quantize(grid))
    graph.add_submodule(up, _Dequantize(grid))
    readers = list(node.users)
    with graph.graph.inserting_after(node):
        quantized = graph.graph.call_module(down, (node,))
    for reader in readers:
        with graph.graph.inserting_before(reader):
            reader.replace_input_with(node, graph.graph.call_module(up, (quantized,)))


def replace_module(graph: fx.GraphModule, target: str, module: nn.Module) -> None:
    """Put ``module`` where ``target`` names one."""
    parent, _, name = target.rpartition(".")
    setattr(operator.attrgetter(parent)(graph) if parent else graph, name, module)

"""XNNPACK graphs broken one rule at a time: exported, changed as ExecuTorch's own tables, written by its serialiser."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from helpers.program_breaks import rewritten


class EveryKind(nn.Module):
    """Most kinds of nodes that networks of ours become, float32 [1, 4, 12, 12] -> [1, 5]."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(4, 8, 3, padding=1, groups=2)
        self.depthwise = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8)
        self.up = nn.ConvTranspose2d(8, 6, 2, stride=2)
        self.slopes = nn.PReLU(6)
        self.connected = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.pad(self.grouped(x).relu(), (1, 2, 0, 1))
        x = self.slopes(self.up(nn.functional.max_pool2d(self.depthwise(x), 2)))
        x = torch.cat((x, x * x.mean((2, 3), keepdim=True)), dim=1)[:, 3:9]
        x = nn.functional.avg_pool2d(x, 2)
        rows = x.reshape(1, 6, -1).permute(0, 2, 1)
        return self.connected(torch.bmm(rows.softmax(2), rows.permute(0, 2, 1)[:, :, :6])).mean(1)


@dataclass(frozen=True)
class Graphs:
    """A program, and its graphs with what was written of each."""

    program: np.ndarray
    graphs: list
    written: list[bytes]


def exported(module: nn.Module, example: tuple[Tensor, ...]) -> Graphs:
    from executorch.backends.xnnpack import xnnpack_preprocess as preprocess

    from pocketvlad.export.lower import lower

    graphs, written = [], []

    def write(graph, constants):
        graphs.append((copy.deepcopy(graph), bytes(constants)))
        written.append(serialize(graph, constants))
        return written[-1]

    serialize = preprocess.serialize_xnnpack_binary
    with mock.patch.object(preprocess, "serialize_xnnpack_binary", write):
        program = lower(module.eval(), example, {}).buffer
    return Graphs(np.frombuffer(program, np.uint8).copy(), graphs, written)


def changed(of: Graphs, change: Callable, *, header: bool = True) -> np.ndarray:
    """The program with its first graph that ``change`` does not return False of changed so; ``header``: as exported."""
    from executorch.backends.xnnpack.serialization import xnnpack_graph_serialize as serialiser

    for (graph, constants), written in zip(of.graphs, of.written, strict=True):
        made = copy.deepcopy(graph)
        if change(made) is False:
            continue
        whole = serialiser.serialize_xnnpack_binary(made, bytearray(constants))
        data = whole if header else serialiser.convert_to_flatbuffer(made)
        return rewritten(of.program, lambda program, w=written, d=data: _place(of.program, program, w, d))
    raise AssertionError("no graph has this node")


def _place(data: np.ndarray, program, written: bytes, blob: bytes) -> None:
    """Inline data of the delegate whose graph was ``written``."""
    from executorch.exir.schema import BackendDelegateInlineData, DataLocation

    base = int(data[24:32].view("<u8")[0])
    for delegate in program.execution_plan[0].delegates:
        segment = program.segments[delegate.processed.index]
        if data[base + segment.offset :][: len(written)].tobytes() == written:
            program.backend_delegate_data.append(BackendDelegateInlineData(blob))
            delegate.processed.location = DataLocation.INLINE
            delegate.processed.index = len(program.backend_delegate_data) - 1
            return
    raise AssertionError("no delegate has this graph")


def node_of(graph, kind: str):
    """The first node of a kind, None if there is none."""
    found = (each.xnode_union for each in graph.xnodes)
    return next((each for each in found if type(each).__name__ == f"XNN{kind}"), None)


def value_of(graph, number: int):
    """The tensor of value ``number``."""
    found = (getattr(each.xvalue_union, "tensor_value", each.xvalue_union) for each in graph.xvalues)
    return next(each for each in found if each.id_out == number)


def sets(kind: str, **fields) -> Callable:
    """Changes fields of the first node of a kind."""

    def change(graph):
        node = node_of(graph, kind)
        if node is None:
            return False
        for name, value in fields.items():
            assert hasattr(node, name)
            setattr(node, name, value)
        return None

    return change


def resizes(kind: str, field: str, change: Callable[[list[int]], list[int]]) -> Callable:
    """Changes the sizes of a value that the first node of a kind names."""

    def apply(graph):
        node = node_of(graph, kind)
        if node is None:
            return False
        tensor = value_of(graph, getattr(node, field))
        tensor.dims = change(list(tensor.dims))
        tensor.num_dims = len(tensor.dims)
        return None

    return apply


def scaled(kind: str, field: str, *, listed: int, stored: int, channel: int = 0) -> Callable:
    """Gives a value scales by channel, in the graph and, if ``stored``, as a constant: then the runtime reads that."""

    def apply(graph):
        from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as tables

        number = getattr(node_of(graph, kind), field)
        bias = value_of(graph, node_of(graph, kind).bias_id).constant_buffer_idx
        at = next(i for i, each in enumerate(graph.xvalues) if each.xvalue_union.id_out == number)
        scales = tables.PerChannelQuant([0.5] * listed, channel, bias if stored else 0, stored)
        graph.xvalues[at] = tables.XValue(
            tables.XNNQuantizedTensorValue(graph.xvalues[at].xvalue_union, scales)
        )

    return apply


def same_number(graph) -> None:
    """Two values of one number: the runtime takes the first, XNNPACK's externals the last."""
    graph.xvalues[1].xvalue_union.id_out = graph.xvalues[0].xvalue_union.id_out


def same_external(graph) -> None:
    found = [each.xvalue_union for each in graph.xvalues if each.xvalue_union.flags == 1]
    second = copy.deepcopy(graph.xvalues[0])
    second.xvalue_union = copy.deepcopy(found[0])
    second.xvalue_union.id_out = 1 << 20
    graph.xvalues.append(second)


def nothing(graph) -> None:
    """The graph as it was exported."""


HUGE = 1 << 30
BREAKS: dict[str, Callable] = {
    "10 more externals than the runtime makes room for": lambda g: setattr(g, "num_externs", 5000),
    "11 two values of one number": same_number,
    "11 two values of one argument": same_external,
    "11 a value of no size": resizes("Softmax", "input_id", lambda d: [1, 0, 6]),
    "11 a value without sizes": resizes("Softmax", "input_id", lambda d: []),
    "11 more values than an int32 counts": resizes("Softmax", "input_id", lambda d: [1 << 16, 1 << 15]),
    "11 fewer stored scales than channels": scaled("FullyConnected", "filter_id", listed=5, stored=2),
    "13 scales of another axis": scaled("FullyConnected", "filter_id", listed=6, stored=0, channel=1),
    "13 a convolution without inputs": sets("Conv2d", group_input_channels=0),
    "13 a convolution of more inputs": sets("Conv2d", group_input_channels=3),
    "13 a convolution of more outputs": sets("Conv2d", group_output_channels=5),
    "13 a convolution of more groups": sets("Conv2d", groups=4),
    "13 a convolution of no groups": sets("Conv2d", groups=0),
    "13 a convolution of a larger kernel": sets("Conv2d", kernel_height=5, padding_top=2, padding_bottom=2),
    "13 a convolution of no kernel": sets("Conv2d", kernel_width=0),
    "13 a convolution of no stride": sets("Conv2d", subsampling_height=0),
    "13 a convolution of no dilation": sets("Conv2d", dilation_width=0),
    "13 a convolution of another padding": sets("Conv2d", padding_left=2),
    "13 a convolution with a rule of its own for padding": sets("Conv2d", flags=4),
    "13 a convolution whose bias is shorter": resizes("Conv2d", "bias_id", lambda d: [7]),
    "13 a convolution whose filter is shorter": resizes("Conv2d", "filter_id", lambda d: [8, 3, 3, 1]),
    "13 a depthwise convolution without inputs": sets("DepthwiseConv2d", group_input_channels=0),
    "13 a depthwise convolution of more outputs": sets("DepthwiseConv2d", group_output_channels=2),
    "13 a depthwise convolution whose bias is shorter": resizes("DepthwiseConv2d", "bias_id", lambda d: [4]),
    "13 a transposed convolution of more outputs": sets("ConvTranspose2d", group_output_channels=7),
    "13 a transposed convolution that adds rows": sets("ConvTranspose2d", adjustment_height=1),
    "13 a transposed convolution whose bias is shorter": resizes("ConvTranspose2d", "bias_id", lambda d: [5]),
    "13 a connected layer of more inputs": resizes("FullyConnected", "input1_id", lambda d: [*d[:-1], 7]),
    "13 a connected layer turned over": sets("FullyConnected", flags=1),
    "13 a connected layer whose filter is shorter": resizes("FullyConnected", "filter_id", lambda d: [4, 6]),
    "13 a connected layer whose bias is shorter": resizes("FullyConnected", "bias_id", lambda d: [4]),
    "13 fewer slopes than channels": resizes("PReLU", "input2_id", lambda d: [1, 1, 1, 5]),
    "13 a pooling of no window": sets("MaxPooling2d", pooling_height=0),
    "13 a pooling of no stride": sets("AvgPooling2d", stride_width=0),
    "13 a pooling of no dilation": sets("MaxPooling2d", dilation_height=0),
    "13 a pooling of another window": sets("MaxPooling2d", pooling_height=1),
    "13 more padding": sets("StaticConstantPad", post_paddings=[0, 9, 2, 0]),
    "13 less padding than none": sets("StaticConstantPad", pre_paddings=[0, 0xFFFFFFFF, 1, 0]),
    "13 an axis that is not there": sets("StaticTranspose", perm=[0, 2, 3, 4]),
    "13 an axis twice": sets("StaticTranspose", perm=[0, 2, 2, 1]),
    "13 another order of axes": sets("StaticTranspose", perm=[0, 1, 2, 3]),
    "13 a slice past the end": sets("StaticSlice", offsets=[0, 0, 0, HUGE]),
    "13 a longer slice": sets("StaticSlice", offsets=[0, 0, 0, 0], sizes=[1, 6, 6, 9]),
    "13 a slice to the end": sets("StaticSlice", sizes=[1, 0, 0, 0]),
    "13 a reshaping of another length": sets("StaticReshape", new_shape=[1, 9, 7]),
    "13 lists of a length that the node denies": sets("StaticReshape", num_dims=6),
    "13 a join along another axis": sets("Concatenate2", axis=1),
    "13 a join along no axis": sets("Concatenate2", axis=HUGE),
    "13 a product of a longer matrix": resizes(
        "BatchMatrixMultiply", "input2_id", lambda d: [1, d[1] + 1, d[2]]
    ),
    "13 a result that is shorter": resizes("Softmax", "output_id", lambda d: [1, 1, 6]),
    "13 a mean that keeps no axes": sets("GlobalAvgPooling2d", flags=0),
    "13 a sum of what does not match": resizes("Multiply", "input2_id", lambda d: [1, 1, 1, 5]),
}

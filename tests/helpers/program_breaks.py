"""Programs broken one rule at a time, their tables rewritten by ExecuTorch's own serialiser."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
from executorch.exir.scalar_type import ScalarType


def flatbuffer_bytes(data: np.ndarray) -> int:
    return int(data[16:24].view("<u8")[0])


def rewritten(data: np.ndarray, change: Callable) -> np.ndarray:
    """The program with its tables changed by ``change``, written by ExecuTorch's own serialiser."""
    from executorch.exir._serialize import _flatbuffer_program as flatbuffer
    from executorch.exir._serialize._program import _ExtendedHeader, _insert_flatbuffer_header

    program = flatbuffer._flatbuffer_to_program(data[: flatbuffer_bytes(data)].tobytes())
    change(program)
    written = flatbuffer._program_to_flatbuffer(program, constant_tensor_alignment=64)
    base = int(data[24:32].view("<u8")[0])
    size = -(-(len(written.data) + 64) // 128) * 128
    header = _ExtendedHeader(len(written.data) + 32, size, data.size - base).to_bytes()
    head = _insert_flatbuffer_header(written.data, "ET12", header)
    return np.frombuffer(head.ljust(size, b"\0") + data[base:].tobytes(), np.uint8)


def values_of(program, kind: str) -> list:
    return [each.val for each in program.execution_plan[0].values if type(each.val).__name__ == kind]


def calls_of(program, kind: str = "KernelCall") -> list:
    steps = program.execution_plan[0].chains[0].instructions
    return [each.instr_args for each in steps if type(each.instr_args).__name__ == kind]


def planned(program):
    return next(each for each in values_of(program, "Tensor") if each.allocation_info is not None)


def constant(program):
    return next(each for each in values_of(program, "Tensor") if each.data_buffer_idx)


def without_place(program, index: int, sizes: tuple[int, ...] = ()) -> None:
    """The tensor lies nowhere: the runtime would read it from address 0."""
    tensor = program.execution_plan[0].values[index].val
    if type(tensor).__name__ == "TensorList":
        tensor = program.execution_plan[0].values[tensor.items[0]].val
    tensor.allocation_info, tensor.data_buffer_idx = None, 0
    if sizes:
        tensor.sizes, tensor.dim_order = list(sizes), list(range(len(sizes)))


def free(program) -> None:
    """The result is freed at the end: the next run would read it from address 0."""
    from executorch.exir.schema import FreeCall, Instruction

    plan = program.execution_plan[0]
    plan.chains[0].instructions.append(Instruction(FreeCall(plan.outputs[0])))


def swap_arguments(program) -> None:
    call = next(
        c
        for c in calls_of(program)
        if program.execution_plan[0].operators[c.op_index].name.endswith("conv2d")
    )
    call.args[1], call.args[7] = call.args[7], call.args[1]


def overlap(program, call: int = 0, *, delegates: bool = False) -> None:
    """What an operator writes begins inside what it reads: the runtime would copy bytes onto their neighbours."""
    kind = "DelegateCall" if delegates else "KernelCall"
    values, arguments = program.execution_plan[0].values, calls_of(program, kind)[call].args
    listed = getattr(values[arguments[0]].val, "items", arguments)
    read, out = values[listed[0]].val.allocation_info, values[arguments[-1]].val.allocation_info
    out.memory_id, out.memory_offset_low = read.memory_id, read.memory_offset_low + 16
    program.execution_plan[0].non_const_buffer_sizes[read.memory_id] += 1 << 20


def add_value(program, value) -> int:
    """Index of a new value of the method."""
    from executorch.exir.schema import EValue

    values = program.execution_plan[0].values
    values.append(EValue(value))
    return len(values) - 1


def constant_result(program) -> None:
    """What an operator writes is a constant, which lies in read-only memory."""
    plan = program.execution_plan[0]
    out = plan.values[calls_of(program)[0].args[-1]].val
    out.allocation_info, out.data_buffer_idx = None, constant(program).data_buffer_idx
    out.sizes = [1] * len(out.sizes)


def in_place(program) -> None:
    """An operator writes the very tensor that it reads: it would read its own results."""
    call = calls_of(program)[0]
    call.args[-2:] = [call.args[0]] * 2


def move(program) -> None:
    """A value becomes another after its checks."""
    from executorch.exir.schema import Instruction, MoveCall

    call = calls_of(program)[0]
    step = Instruction(MoveCall(call.args[-1], call.args[0]))
    program.execution_plan[0].chains[0].instructions.insert(0, step)


def jump(program) -> None:
    from executorch.exir.schema import Bool, Instruction, JumpFalseCall

    step = Instruction(JumpFalseCall(add_value(program, Bool(True)), 2))
    program.execution_plan[0].chains[0].instructions.insert(0, step)


def number(program) -> None:
    """An operator gives a number, which later arguments would be."""
    from executorch.exir.schema import Int, Operator

    plan, call = program.execution_plan[0], calls_of(program)[0]
    plan.operators[call.op_index] = Operator("aten::sym_size", "int")
    call.args[1:] = [add_value(program, Int(0)), add_value(program, Int(0))]


def delegate_result(program, **changed) -> None:
    """XNNPACK writes as much as its graph says, whatever tensor it is given."""
    call = calls_of(program, "DelegateCall")[0]
    out = program.execution_plan[0].values[call.args[-1]].val
    for field, value in changed.items():
        setattr(out, field, value)


def delegate_result_in_place(program) -> None:
    call = calls_of(program, "DelegateCall")[0]
    values = program.execution_plan[0].values
    values[call.args[-1]].val.allocation_info = values[call.args[0]].val.allocation_info
    program.execution_plan[0].non_const_buffer_sizes[1] += 1 << 20


def longer_delegate_input(program) -> None:
    call = calls_of(program, "DelegateCall")[0]
    sizes = program.execution_plan[0].values[call.args[0]].val.sizes
    sizes[-1] *= 2
    program.execution_plan[0].non_const_buffer_sizes[1] += 1 << 24


BREAKS: dict[str, Callable] = {
    "5 a segment past the end": lambda p: setattr(p.segments[-1], "size", 1 << 40),
    "5 a segment before the start": lambda p: setattr(p.segments[0], "offset", (1 << 64) - 8),
    "5 constants in no segment": lambda p: setattr(p.constant_segment, "segment_index", 99),
    "5 a constant past its segment": lambda p: p.constant_segment.offsets.__setitem__(3, 1 << 40),
    "6 more sizes than order": lambda p: planned(p).sizes.append(1),
    "6 a negative size": lambda p: planned(p).sizes.__setitem__(0, -1),
    "6 an order that repeats": lambda p: planned(p).dim_order.__setitem__(0, 1),
    "6 a tensor past its memory": lambda p: setattr(planned(p).allocation_info, "memory_offset_low", 1 << 30),
    "6 no such memory": lambda p: setattr(planned(p).allocation_info, "memory_id", 7),
    "6 a constant that is longer": lambda p: constant(p).sizes.__setitem__(0, 1 << 30),
    "6 no such constant": lambda p: setattr(constant(p), "data_buffer_idx", 4000),
    "6 more memory than a phone has": lambda p: p.execution_plan[0].non_const_buffer_sizes.append(1 << 40),
    "6 more memory than 4 GiB": lambda p: p.execution_plan[0].non_const_buffer_sizes.append(5 << 30),
    "6 more elements than an int32 counts": lambda p: without_place(
        p, p.execution_plan[0].inputs[0], (1 << 16, 1 << 16)
    ),
    "6 a result without a place": lambda p: without_place(p, p.execution_plan[0].outputs[0]),
    "6 an argument without a place": lambda p: without_place(p, calls_of(p)[0].args[-1]),
    "7 a list of tensors as ints": lambda p: values_of(p, "IntList")[0].items.__setitem__(
        0, next(i for i, v in enumerate(p.execution_plan[0].values) if type(v.val).__name__ == "Tensor")
    ),
    "7 a list of what is not there": lambda p: values_of(p, "IntList")[0].items.__setitem__(0, 1 << 20),
    "8 no such operator": lambda p: setattr(calls_of(p)[0], "op_index", 99),
    "8 no such argument": lambda p: calls_of(p)[0].args.__setitem__(0, 1 << 20),
    "8 no such input": lambda p: p.execution_plan[0].inputs.__setitem__(0, -1),
    "8 a tensor that is freed": free,
    "8 a value that becomes another": move,
    "8 a jump": jump,
    "9 a constant as a result": constant_result,
    "9 a result that is its own argument": in_place,
    "9 an operator that gives a number": number,
    "9 a delegate's result of longer elements": lambda p: delegate_result(p, scalar_type=ScalarType.LONG),
    "9 a delegate's result of shorter elements": lambda p: delegate_result(p, scalar_type=ScalarType.CHAR),
    "9 a delegate's result of too few": lambda p: delegate_result(p, sizes=[1, 1], dim_order=[0, 1]),
    "9 a delegate's result that is a constant": lambda p: delegate_result(
        p, allocation_info=None, data_buffer_idx=1, sizes=[1, 1], dim_order=[0, 1]
    ),
    "9 a delegate's result that is its input": delegate_result_in_place,
    "9 a delegate's input that is longer": longer_delegate_input,
    "9 arguments of another kind": swap_arguments,
    "9 a result inside what it is made of": overlap,
    "9 a delegate's result inside its input": lambda p: overlap(p, delegates=True),
    "9 an argument too few": lambda p: calls_of(p)[0].args.pop(),
}


def with_view(program, *, shift: int) -> None:
    """The first argument as a row, ``shift`` bytes from where it lies."""
    from executorch.exir.schema import Instruction, Int, IntList, KernelCall, Operator

    plan, index = program.execution_plan[0], calls_of(program)[0].args[0]
    view = copy.deepcopy(plan.values[index].val)
    view.sizes = [math.prod(view.sizes)]
    view.dim_order = [0]
    view.allocation_info.memory_offset_low += shift
    plan.non_const_buffer_sizes[view.allocation_info.memory_id] += shift
    plan.operators.append(Operator("executorch_prim::et_view", "default"))
    sizes = add_value(program, IntList([add_value(program, Int(view.sizes[0]))]))
    call = KernelCall(len(plan.operators) - 1, [index, sizes, add_value(program, view)])
    plan.chains[0].instructions.insert(0, Instruction(call))

"""Programs nobody vouches for: one broken program per rule, changed bytes, and what the runtime makes of the rest."""

from __future__ import annotations

import copy
import math
import os
import random
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from executorch.exir.scalar_type import ScalarType

import pocketvlad
from helpers import op_signatures, program_child
from helpers.models import make_model
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import LayerRecipe, Recipe
from pocketvlad.errors import ArtifactError
from pocketvlad.export.program import export_program
from pocketvlad.resources import resource_dir
from pocketvlad.runtime.runner import ProgramRunner
from pocketvlad.runtime.sealed import SEAL_BYTES, _core, broken_rule, check_program, seal_program

RECIPE = Recipe(1, "test", layer=LayerRecipe(bits=8, codebook="uniform", row_scale="max"))
TOOLKIT = Path(pocketvlad.__file__).parents[1]
FORMATS = Path(__file__).parents[2] / "docs/formats.md"


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> dict[str, Path]:
    """A compressed network's program, whose convolutions are ours, and XNNPACK's of the network itself."""
    folder = tmp_path_factory.mktemp("programs")
    model = make_model(dim=12)
    found = {"lookup": folder / "lookup.pte", "float32": folder / "float32.pte"}
    export_program(compress_network(model, RECIPE), found["lookup"])
    export_program(model, found["float32"])
    return found


def read(path: Path, *, seal: bool) -> np.ndarray:
    data = np.fromfile(path, np.uint8)
    return data if seal else data[:-SEAL_BYTES].copy()


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


def without_place(program, index: int) -> None:
    """The tensor lies nowhere: the runtime would read it from address 0."""
    tensor = program.execution_plan[0].values[index].val
    if type(tensor).__name__ == "TensorList":
        tensor = program.execution_plan[0].values[tensor.items[0]].val
    tensor.allocation_info, tensor.data_buffer_idx = None, 0


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


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_program_is_refused_by_its_rule(programs, name):
    data = read(programs["lookup"], seal=False)
    assert broken_rule(rewritten(data, lambda program: None)) == (None, False)
    rule, _ = broken_rule(rewritten(data, BREAKS[name]))
    assert rule is not None and rule.split(":")[0] == name.split()[0]


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


def test_a_view_lies_where_its_tensor_does(programs):
    """The runtime lets it be those bytes; what writes it later would write wherever they are."""
    data = read(programs["lookup"], seal=False)
    assert broken_rule(rewritten(data, lambda p: with_view(p, shift=0))) == (None, False)
    rule, _ = broken_rule(rewritten(data, lambda p: with_view(p, shift=64)))
    assert rule is not None and rule.startswith("9:")


def test_no_image_at_all_is_refused_by_the_kernel(programs, tmp_path):
    """A batch of 0 images breaks no rule, for a tensor of no bytes needs no place; it was divided by."""

    def empty(program):
        plan = program.execution_plan[0]
        call = copy.deepcopy(calls_of(program)[0])
        for at in (0, -1):
            tensor = copy.deepcopy(plan.values[call.args[at]].val)
            tensor.sizes[0], tensor.allocation_info, tensor.data_buffer_idx = 0, None, 0
            call.args[at] = add_value(program, tensor)
        call.args[-2] = call.args[-1]
        plan.chains[0].instructions.insert(0, Instruction(call))

    from executorch.exir.schema import Instruction

    path = tmp_path / "empty.pte"
    rewritten(read(programs["lookup"], seal=False), empty).tofile(path)
    assert broken_rule(np.fromfile(path, np.uint8)) == (None, False)
    done = subprocess.run(
        [sys.executable, program_child.__file__, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(TOOLKIT)},
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.split("\t")[1].strip() == "ArtifactError"


def test_a_result_inside_a_tensor_of_a_list_is_refused():
    from executorch.exir import to_edge

    class Joined(torch.nn.Module):
        def forward(self, x):
            return torch.cat((x + 1, x * 2), dim=1)

    edge = to_edge(torch.export.export(Joined(), (torch.zeros(2, 64),)))
    data = np.frombuffer(edge.to_executorch().buffer, np.uint8).copy()
    assert broken_rule(data) == (None, False)
    rule, _ = broken_rule(rewritten(data, lambda program: overlap(program, call=-1)))
    assert rule is not None and rule.startswith("9:")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda d: d[:0], 1),
        (lambda d: d[:63], 1),
        (lambda d: np.random.default_rng(0).integers(0, 256, 5000, np.uint8), 1),
        (lambda d: d[: d.size // 2], 1),
        (lambda d: d[:-SEAL_BYTES][:-1], 1),
        (lambda d: d[:-1], 2),
        (lambda d: np.concatenate([d, d[:1]]), 2),
        (lambda d: np.concatenate([d[:-SEAL_BYTES], np.zeros(SEAL_BYTES, np.uint8)]), 2),
    ],
)
def test_a_file_cut_or_padded_is_refused(programs, change, rule):
    found, _ = broken_rule(np.ascontiguousarray(change(read(programs["lookup"], seal=True))))
    assert found is not None and found.startswith(f"{rule}:")


@pytest.mark.parametrize("kind", ["lookup", "float32"])
def test_a_sealed_program_notices_every_change(programs, kind):
    """Of weights above all: the file's rules say nothing of them."""
    data, random_ = read(programs[kind], seal=True), random.Random(0)
    assert broken_rule(data) == (None, True)
    for _ in range(300):
        at = random_.randrange(data.size)
        kept, data[at] = data[at], data[at] ^ (1 << random_.randrange(8))
        assert broken_rule(data)[0] is not None
        data[at] = kept


def mutations(
    data: np.ndarray, count: int, seed: int, at: Callable[[random.Random], int]
) -> list[np.ndarray]:
    """Programs without a seal with 1 to 4 bytes changed, each accepted or not."""
    random_, found = random.Random(seed), []
    for _ in range(count):
        changed = data.copy()
        for _ in range(random_.randint(1, 4)):
            place = at(random_)
            flipped = int(changed[place]) ^ (1 << random_.randrange(8))
            changed[place] = random_.choice((flipped, random_.randrange(256), 0, 255))
        found.append(changed)
    return found


def graphs_of(data: np.ndarray) -> list[int]:
    """Where XNNPACK's graphs start."""
    return [match.start() - 4 for match in re.finditer(b"XH00", data.tobytes())]


@pytest.mark.parametrize("kind", ["lookup", "float32"])
def test_what_is_accepted_does_not_end_the_process(programs, kind, tmp_path):
    """Tables and graphs changed, no seal to notice it: what passes our rules runs, or the runtime refuses it."""
    data = read(programs[kind], seal=False)
    graphs, tables = graphs_of(data), flatbuffer_bytes(data)
    changed = mutations(data, 200, 1, lambda r: r.randrange(8, tables))
    changed += mutations(data, 60, 2, lambda r: r.choice(graphs) + r.randrange(400))
    rules = [broken_rule(each)[0] for each in changed]
    accepted = [each for each, rule in zip(changed, rules, strict=True) if rule is None][:25]
    assert len(accepted) > 10
    assert {"3", "6", "10"} <= {rule.split(":")[0] for rule in rules if rule is not None}
    paths = [tmp_path / f"{i}.pte" for i in range(len(accepted))]
    for each, path in zip(accepted, paths, strict=True):
        each.tofile(path)
    done = subprocess.run(
        [sys.executable, program_child.__file__, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(TOOLKIT)},
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert {line.split("\t")[1] for line in done.stdout.splitlines()} <= {"ran", "ArtifactError"}
    assert len(done.stdout.splitlines()) == len(paths)


def test_graphs_are_checked_by_each_of_their_rules(programs):
    data = read(programs["float32"], seal=False)
    graphs = graphs_of(data)
    changed = mutations(data, 400, 3, lambda r: r.choice(graphs[:3]) + 64 + r.randrange(1000))
    assert {"10", "11", "12"} <= {rule.split(":")[0] for each in changed if (rule := broken_rule(each)[0])}


def test_a_damaged_program_is_one_line(programs, tmp_path):
    path = tmp_path / "random.pte"
    path.write_bytes(np.random.default_rng(1).bytes(5000))
    with pytest.raises(
        ArtifactError, match=r"random\.pte is damaged or not a program; found broken rule 1: .*; export"
    ):
        ProgramRunner(path)
    data = read(programs["lookup"], seal=True)
    data[data.size // 2] ^= 1
    data.tofile(path)
    with pytest.raises(
        ArtifactError, match="found broken rule 2: what stands behind the last segment is the seal"
    ):
        ProgramRunner(path)
    with pytest.raises(ArtifactError, match="does not exist"):
        check_program(tmp_path / "none.pte")


def test_a_program_of_another_maker_needs_no_seal(programs, tmp_path):
    path = tmp_path / "other.pte"
    read(programs["lookup"], seal=False).tofile(path)
    assert not ProgramRunner(path).sealed and ProgramRunner(programs["lookup"]).sealed
    seal_program(path)
    assert path.read_bytes() == programs["lookup"].read_bytes()


def test_the_hash_is_xxh64():
    """Values of the specification's own tests and of every tail length of python-xxhash."""
    assert _core().pv_xxh64(b"", 0) == 0xEF46DB3751D8E999
    assert _core().pv_xxh64(b"abc", 3) == 0x44BC2CF5AD770999
    text = b"Nobody inspects the spammish repetition"
    assert _core().pv_xxh64(text, len(text)) == 0xFBCEA83C8A378BF1
    assert struct.calcsize("<8sQQQ") == SEAL_BYTES


def test_the_documents_say_the_rules():
    text = FORMATS.read_text().replace("`", "")
    rules = [rule for i in range(1, 13) if (rule := _core().pv_program_rule(i).decode())]
    assert len(rules) == 12 and not _core().pv_program_rule(13)
    for rule in rules:
        number, demand = rule.split(": ", 1)
        assert f"{number}. {demand[0].upper()}{demand[1:]}." in " ".join(text.split())


def test_the_operators_arguments_are_current():
    """Made in a process of its own: what other tests load adds operators."""
    code = "import op_signatures as made; print(made.text(), end='')"
    helpers = Path(op_signatures.__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{TOOLKIT}:{helpers}"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == (resource_dir("kernels") / "program/signatures.inc").read_text()

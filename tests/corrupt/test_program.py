"""Programs nobody vouches for: one broken program per rule, changed bytes, and what the runtime makes of the rest."""

from __future__ import annotations

import copy
import os
import random
import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import pocketvlad
from helpers import argument_breaks, graph_breaks, op_signatures, program_child
from helpers.models import make_model
from helpers.program_breaks import (
    BREAKS,
    add_value,
    calls_of,
    flatbuffer_bytes,
    overlap,
    rewritten,
    with_view,
)
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


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_program_is_refused_by_its_rule(programs, name):
    data = read(programs["lookup"], seal=False)
    assert broken_rule(rewritten(data, lambda program: None)) == (None, False)
    rule, _ = broken_rule(rewritten(data, BREAKS[name]))
    assert rule is not None and rule.split(":")[0] == name.split()[0]


@pytest.fixture(scope="module")
def portable() -> np.ndarray:
    data = argument_breaks.portable()
    assert broken_rule(data) == (None, False)
    return data


@pytest.mark.parametrize("name", argument_breaks.BREAKS)
def test_what_would_end_the_process_in_a_kernel_is_refused(portable, name):
    rule, _ = broken_rule(rewritten(portable, argument_breaks.BREAKS[name]))
    assert rule is not None and rule.startswith("9:")


def test_a_long_name_of_an_operator_is_no_known_one(portable):
    """It would be compared with each known one at every call."""
    rule, _ = broken_rule(
        rewritten(portable, lambda p: setattr(p.execution_plan[0].operators[0], "name", "a" * 5000))
    )
    assert rule is not None and rule.startswith("9:")


@pytest.fixture(scope="module")
def every_kind() -> graph_breaks.Graphs:
    return graph_breaks.exported(graph_breaks.EveryKind(), (torch.zeros(1, 4, 12, 12),))


@pytest.mark.parametrize("name", graph_breaks.BREAKS)
def test_a_broken_graph_is_refused_by_its_rule(every_kind, name):
    assert broken_rule(graph_breaks.changed(every_kind, graph_breaks.nothing)) == (None, False)
    rule, _ = broken_rule(graph_breaks.changed(every_kind, graph_breaks.BREAKS[name]))
    assert rule is not None and rule.split(":")[0] == name.split()[0]


def test_without_a_header_constants_lie_in_the_graph(every_kind):
    """The runtime reads them there, whatever else the graph says of constants."""
    rule, _ = broken_rule(graph_breaks.changed(every_kind, graph_breaks.nothing, header=False))
    assert rule is not None and rule.startswith("11:")


def test_scales_are_read_where_the_runtime_does(every_kind):
    sound = graph_breaks.scaled("FullyConnected", "filter_id", listed=0, stored=5)
    assert broken_rule(graph_breaks.changed(every_kind, sound)) == (None, False)


def test_many_delegates_of_one_graph_are_refused(every_kind):
    """Each is checked again: a small file would ask for hours."""

    def many(program):
        plan = program.execution_plan[0]
        plan.delegates += [copy.deepcopy(plan.delegates[0]) for _ in range(20_000)]

    started = time.monotonic()
    rule, _ = broken_rule(rewritten(every_kind.program, many))
    assert rule is not None and rule.startswith("10:")
    assert time.monotonic() - started < 60


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
    rules = [rule for i in range(1, 14) if (rule := _core().pv_program_rule(i).decode())]
    assert len(rules) == 13 and not _core().pv_program_rule(14)
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

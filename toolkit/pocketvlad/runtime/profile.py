"""Where a program's time goes, op by op: ExecuTorch's own event trace (ETDump) of some runs."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad.core.program import quiet_runtime
from pocketvlad.errors import ArtifactError
from pocketvlad.lut import contract
from pocketvlad.runtime.runner import ProgramRunner
from pocketvlad.unfinished import scratch_folder

OURS, DELEGATE, RUNTIME = "pocketvlad", "XNNPACK", "ExecuTorch"
_OURS, _CALL, _RUN = f"{contract.NAMESPACE}::", "native_call_", "Method::execute"
_NUMBER = re.compile(r" #\d+$")  # XNNPACK counts the ops of a kind


@dataclass(frozen=True)
class OpTime:
    """All calls of one op in a run.

    Attributes:
        op: the runtime's name of it.
        by: whose kernel it is: OURS, DELEGATE or RUNTIME.
        calls: in one run.
        ms: of all calls, the mean run.
        share: of the whole run, 0 to 1.
    """

    op: str
    by: str
    calls: int
    ms: float
    share: float


@dataclass(frozen=True)
class CallTime:
    """One call of an op of ours, milliseconds in the mean run."""

    op: str
    ms: float


@dataclass(frozen=True)
class LayerTime:
    """One layer's op: ``ms`` of the mean run, ``share`` of the whole run, 0 to 1."""

    layer: str
    op: str
    ms: float
    share: float


@dataclass(frozen=True)
class Profile:
    """Where a program's time goes.

    Attributes:
        ops: by time, the longest first; the last row is what lies between them.
        calls: of our ops, in the order of the program.
    """

    ops: tuple[OpTime, ...]
    calls: tuple[CallTime, ...] = ()


def profile_program(path: Path, *, runs: int = 10, threads: int = 1) -> Profile:
    """The times of a program's ops.

    Tracing takes time of its own, so the sum is a little above an untraced run's.

    Raises:
        ArtifactError: not a program of ours, or its runtime writes no trace.
    """
    preprocess = ProgramRunner(path, threads=threads).preprocess  # refuses what is not ours
    shape = (1, 3, preprocess.height, preprocess.width)
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    with quiet_runtime(), scratch_folder() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from executorch.devtools import Inspector
        from executorch.extension.pybindings import portable_lib

        module = portable_lib._load_for_executorch(str(path), enable_etdump=True)
        x = torch.from_numpy(values)
        for _ in range(runs + 1):  # the first is cold and does not count
            module.forward((x,))
        trace = folder / "trace.etdp"
        module.write_etdump_result_to_file(str(trace))
        if not trace.is_file():
            raise ArtifactError(f"{path}: this ExecuTorch writes no ETDump", do="reinstall executorch")
        blocks = Inspector(etdump_path=str(trace)).event_blocks
    events = [event for block in blocks if block.name == "Execute" for event in block.events]
    return _sum_up(events, str(path))


def layer_times(profile: Profile, layers: Sequence[str]) -> tuple[LayerTime, ...]:
    """The time of each layer, in order.

    Args:
        profile: of a program.
        layers: that call our ops in this order, one call each; none are known where their number is another.
    """
    whole = sum(op.ms for op in profile.ops)
    if len(layers) != len(profile.calls):
        return ()
    pairs = zip(layers, profile.calls, strict=True)
    return tuple(LayerTime(name, call.op, call.ms, call.ms / whole) for name, call in pairs)


def _sum_up(events: Iterable[Any], path: str) -> Profile:
    calls: dict[tuple[str, str], int] = defaultdict(int)
    times: dict[tuple[str, str], float] = defaultdict(float)
    ours: list[CallTime] = []
    run = 0.0
    for event in events:
        if event.perf_data is None:
            continue
        name, ms = event.name, float(np.mean(event.perf_data.raw[1:]))
        if name == _RUN:
            run = ms
        elif (key := _op(name, event.is_delegated_op)) is not None:
            calls[key] += 1
            times[key] += ms
            if key[1] == OURS:
                ours.append(CallTime(key[0], ms))
    if not run:
        raise ArtifactError(f"{path}: the ETDump names no run", do="reinstall executorch")
    found = [OpTime(*key, calls[key], ms, ms / run) for key, ms in times.items()]
    found.sort(key=lambda row: -row.ms)
    rest = max(0.0, run - sum(times.values()))
    return Profile((*found, OpTime("between the ops", RUNTIME, 1, rest, rest / run)), tuple(ours))


def _op(name: str, delegated: bool) -> tuple[str, str] | None:
    """An event's op and whose it is; None for what only wraps others.

    ``pocketvlad::lut_linear.out``, ``native_call_sum.IntList_out``, ``Fully Connected (NC, F32) GEMM #1``.
    """
    if delegated:
        return _NUMBER.sub("", name), DELEGATE
    if name.startswith(_OURS):
        return name.removeprefix(_OURS).removesuffix(".out"), OURS
    if name.startswith(_CALL):
        return name.removeprefix(_CALL).split(".")[0], RUNTIME
    return None

"""Which kernels compute a program's convolutions: our lookup kernels, with float32 or int8 activations between them, or
XNNPACK's int8 ones on the same weights.

Of XNNPACK's it is the whole backbone or nothing: every change of kernels would convert the activations. Where the
recipe leaves it to a measurement, the backbones are built and timed in turn on this machine, which is not the phone;
the medians are written in the program beside the choice. Time is not all there is to it: XNNPACK copies its weights
into memory of its own when a program is loaded, the lookup kernels read the mapped file.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from pocketvlad.compress.compressed import Compressed
from pocketvlad.compress.recipe import CONVOLUTIONS, INT8, LUT, LUT_INT8, MEASURED
from pocketvlad.core.program import LoadedProgram, one_thread
from pocketvlad.errors import ExportError, unknown
from pocketvlad.export.lower import lower, photo_example
from pocketvlad.export.pack import EXACT, pack_backbone
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.unfinished import scratch_folder

_RUNS = 9


@dataclass(frozen=True)
class Choice:
    """What computes the convolutions.

    Attributes:
        convolutions: ``lut``, ``lut-int8`` or ``int8``.
        ms: median of the whole backbone by kind, one thread of this machine, if measured.
    """

    convolutions: str
    ms: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"convolutions": self.convolutions, **({"convolutions_ms": dict(self.ms)} if self.ms else {})}


def convolutions_of(compressed: Compressed, asked: str | None, semantics: str) -> str:
    """The kind asked for, else the one its recipe says; ``exact`` programs have lookup convolutions.

    Raises:
        ExportError: an unknown kind, or one the model or the semantics do not allow.
    """
    if asked is None and semantics == EXACT:
        return LUT
    found = asked or compressed.recipe.convolutions
    if found not in CONVOLUTIONS:
        raise unknown(ExportError, "unknown convolutions", found, CONVOLUTIONS)
    if found != LUT and semantics == EXACT:
        raise ExportError(
            f"convolutions {found!r} compute in int8", found="semantics exact", allowed="mixed, fast"
        )
    if found != LUT and not compressed.activations:
        raise ExportError(
            f"the model has no activation ranges for convolutions {found!r}",
            do="compress it by a recipe with convolutions = 'lut-int8', 'int8' or 'measured'",
        )
    return found


def choose_convolutions(
    compressed: Compressed, asked: str | None, semantics: str, preprocess: Preprocess
) -> Choice:
    """See :func:`convolutions_of`; ``measured`` becomes the fastest kind at this input size."""
    found = convolutions_of(compressed, asked, semantics)
    if found != MEASURED:
        return Choice(found)
    ms = time_in_turn(
        {kind: pack_backbone(compressed, semantics, kind) for kind in (INT8, LUT_INT8, LUT)}, preprocess
    )
    return Choice(min(ms, key=lambda kind: ms[kind]), ms)


def time_in_turn(modules: Mapping[str, nn.Module], preprocess: Preprocess) -> dict[str, float]:
    """Median milliseconds of each module's program, one thread, in turn (A B A B …)."""
    shape = (1, 3, preprocess.height, preprocess.width)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    times: dict[str, list[float]] = {name: [] for name in modules}
    with scratch_folder() as folder, one_thread():
        paths = {name: folder / f"{name}.pte" for name in modules}
        programs = {name: _program(module, preprocess, paths[name]) for name, module in modules.items()}
        for _ in range(_RUNS + 1):
            for name, program in programs.items():
                start = time.perf_counter()
                program.run((x,))
                times[name].append((time.perf_counter() - start) * 1e3)
    return {name: round(float(np.median(each[1:])), 3) for name, each in times.items()}  # the first is cold


def _program(module: nn.Module, preprocess: Preprocess, path: Path) -> LoadedProgram:
    with open(path, "wb") as file:
        lower(module, photo_example(preprocess), {}).write_to_file(file)
    return LoadedProgram(path)

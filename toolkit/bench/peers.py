"""ExecuTorch programs of a linear layer: XNNPACK's own, and ours. Cached, since exporting is slow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import EdgeCompileConfig, ExecutorchBackendConfig, to_edge_transform_and_lower
from executorch.extension.pybindings import portable_lib
from torch import Tensor, nn
from torchao.quantization import Int8DynamicActivationIntxWeightConfig, quantize_
from torchao.quantization.granularity import PerAxis, PerGroup

from pocketvlad.core.native import executorch
from pocketvlad.lut import reference
from pocketvlad.lut.layers import LutLinear
from pocketvlad.lut.layouts import Bitmap, Dense, Layout, OneOf
from pocketvlad.lut.tensor import LutTensor

INT4 = torch.int4  # type: ignore[attr-defined]  # its stubs lack it
XNNPACK = {
    "XNNPACK fp32": None,
    "XNNPACK int8": (torch.int8, PerAxis(0)),
    "XNNPACK int4": (INT4, PerAxis(0)),
    "XNNPACK int4 group 32": (INT4, PerGroup(32)),
}


def use_threads(threads: int) -> None:
    """Torch and the runtime, with our operators loaded, compute on so many threads from here on."""
    executorch()
    torch.set_num_threads(threads)
    portable_lib._unsafe_reset_threadpool(threads)


def xnnpack_linear(folder: Path, peer: str, rows: int, columns: int, batch: int = 1) -> Path:
    """nn.Linear lowered to XNNPACK, activations [batch, columns] quantized on the fly where weights are."""

    def build() -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(columns, rows)).eval()
        kind = XNNPACK[peer]
        if kind is not None:
            dtype, granularity = kind
            config = Int8DynamicActivationIntxWeightConfig(weight_dtype=dtype, weight_granularity=granularity)
            quantize_(model, config)
        return model

    name = peer.replace(" ", "-").lower()
    return exported(folder / f"linear-{name}-{batch}x{columns}x{rows}.pte", build, (batch, columns))


def lookup_linear(
    folder: Path,
    bits: int,
    rows: int,
    columns: int,
    *,
    fast: bool,
    kept: float = 1.0,
    block: int = 0,
    batch: int = 1,
) -> Path:
    """Random codes of ``bits`` bits; ``kept`` below 1: the share a sparse layer keeps; ``block``: a 1:M layer."""

    def build() -> nn.Module:
        rng = np.random.default_rng(bits)
        codes = rng.integers(0, 2**bits, (rows, columns), dtype=np.uint8)
        codebook = rng.normal(size=(1, 2**bits)).astype(np.float32)
        layout: Layout = OneOf(block) if block else Bitmap() if kept < 1 else Dense()
        mask = rng.random((rows, columns)) < kept if kept < 1 else None
        if layout.group:
            mask = layout.survivors(rng.normal(size=(rows, columns)).astype(np.float32))
        lut = LutTensor((rows, columns), bits, codes, codebook, np.ones(rows, np.float32), mask, layout)
        if fast and bits == 8:
            lut = reference.on_grid(lut)
        return nn.Sequential(LutLinear(lut, np.zeros(rows, np.float32), fast=fast)).eval()

    semantics = "fast" if fast else "exact"
    name = f"linear-lut{bits}-{semantics}-{round(100 * kept)}-{block}-{batch}x{columns}x{rows}.pte"
    return exported(folder / name, build, (batch, columns))


def exported(path: Path, build: Callable[[], nn.Module], shape: tuple[int, ...]) -> Path:
    """The program of ``build()`` for a float32 input of ``shape``, written to ``path`` unless it is there."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        program = torch.export.export(build(), (torch.zeros(shape),), strict=False)
        edge = to_edge_transform_and_lower(
            program,
            partitioner=[XnnpackPartitioner()],
            compile_config=EdgeCompileConfig(_check_ir_validity=False),
        )
        edge.to_executorch(ExecutorchBackendConfig(constant_tensor_alignment=64)).save(str(path))
    return path


def loaded(path: Path) -> Callable[[Tensor], Sequence[Any]]:
    """The program, ready to run: a call with one input tensor."""
    module = portable_lib._load_for_executorch(str(path))
    return lambda x: module.forward((x,))

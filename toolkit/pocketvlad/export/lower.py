"""From a torch module to what ExecuTorch runs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pocketvlad.errors import ExportError
from pocketvlad.model.preprocess import Preprocess

if TYPE_CHECKING:
    from executorch.exir import ExecutorchProgramManager

_CONSTANT_ALIGNMENT = 64  # bytes, of packed codes in the file: a cache line, an AVX-512 register


def photo_example(preprocess: Preprocess) -> tuple[Tensor, ...]:
    """An input of a network of photos, float32 [1, 3, H, W]."""
    return (torch.zeros(1, 3, preprocess.height, preprocess.width),)


def lower(
    module: nn.Module, example: Sequence[Tensor], constants: Mapping[str, Tensor]
) -> ExecutorchProgramManager:
    """A module for inputs shaped like ``example``; what XNNPACK cannot take stays on portable or lookup ops.

    Raises:
        ExportError: torch or ExecuTorch refuse the module.
    """
    # torchao, which ExecuTorch imports, makes torch warn of a call of its own that a user can do nothing about
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import EdgeCompileConfig, ExecutorchBackendConfig, to_edge_transform_and_lower

    try:
        with torch.no_grad():
            exported = torch.export.export(module.eval(), tuple(example), strict=False)
            edge = to_edge_transform_and_lower(
                exported,
                partitioner=[XnnpackPartitioner()],
                constant_methods=dict(constants),
                compile_config=EdgeCompileConfig(_check_ir_validity=False),
            )
            return edge.to_executorch(ExecutorchBackendConfig(constant_tensor_alignment=_CONSTANT_ALIGNMENT))
    except (RuntimeError, ValueError, torch._dynamo.exc.TorchDynamoException) as error:
        raise ExportError("the model cannot be exported", found=str(error).splitlines()[0]) from error


def operators(program: ExecutorchProgramManager) -> list[str]:
    """``namespace::name.overload`` of every op the program's methods call outside delegates."""
    found = {
        f"{op.name}.{op.overload}" if op.overload else op.name
        for plan in program.executorch_program.execution_plan
        for op in plan.operators
    }
    return sorted(found)

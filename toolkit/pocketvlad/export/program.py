"""From a model to an ExecuTorch program (.pte)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pocketvlad import artifact
from pocketvlad.compress.compressed import CompressedModel
from pocketvlad.errors import ExportError
from pocketvlad.export.check import check_operators
from pocketvlad.export.fold import fold, semantics_of
from pocketvlad.lut import ops
from pocketvlad.model.netvlad import PlaceModel
from pocketvlad.model.preprocess import Preprocess

_CONSTANT_ALIGNMENT = 64  # bytes, of packed codes in the file: a cache line, an AVX-512 register


def export_model(
    model: PlaceModel | CompressedModel,
    out: Path | str,
    *,
    preprocess: Preprocess | None = None,
    semantics: str | None = None,
    made_from: Mapping[str, Any] | None = None,
    force: bool = False,
) -> int:
    """Write the program of a compressed model, or of an uncompressed one for comparison.

    Args:
        model: a compressed model becomes packed layers and lookup ops; a plain one XNNPACK float32.
        out: the ``.pte``.
        preprocess: another input size than the model's own.
        semantics: of a compressed model's kernels, see :func:`pocketvlad.export.fold.fold`; None: as its
            recipe says.
        made_from: provenance, stored for people.
        force: overwrite ``out``.

    Returns:
        Bytes written.

    Raises:
        ExportError: torch or ExecuTorch refuse the model, or the phone runtime lacks one of its ops.
    """
    config = replace(model.config, preprocess=preprocess or model.config.preprocess)
    semantics = semantics_of(model, semantics)
    return export_module(
        fold(model, semantics) if isinstance(model, CompressedModel) else model,
        out,
        config={**config.to_json(), "int8": sorted(model.int8) if isinstance(model, CompressedModel) else []},
        preprocess=config.preprocess,
        outputs=config.descriptor_dim,
        semantics=semantics if isinstance(model, CompressedModel) else "float32",
        made_from=made_from or {},
        force=force,
    )


def export_module(
    module: nn.Module,
    out: Path | str,
    *,
    config: Mapping[str, Any],
    preprocess: Preprocess,
    outputs: int,
    semantics: str,
    made_from: Mapping[str, Any],
    force: bool = False,
) -> int:
    """Write the program of a module float32 [1, 3, H, W] -> float32 [1, outputs]; bytes written.

    ``config`` and ``semantics`` are part of its fingerprint; the rest as in :func:`export_model`.

    Raises:
        ExportError: torch or ExecuTorch refuse the module, or the phone runtime lacks one of its ops.
    """
    identity = {"config": dict(config), "semantics": semantics}
    constants = _constant_methods(module, identity, preprocess, outputs, made_from)
    program = _lower(module, preprocess, constants)
    check_operators(_operators(program))
    with artifact.atomic_path(out, force=force) as temporary, open(temporary, "wb") as file:
        program.write_to_file(file)
    return Path(out).stat().st_size


def _constant_methods(
    module: nn.Module,
    identity: Mapping[str, Any],
    preprocess: Preprocess,
    outputs: int,
    made_from: Mapping[str, Any],
) -> dict[str, torch.Tensor]:
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}
    fingerprint = bytes.fromhex(artifact.tensors_fingerprint(tensors, identity))
    details = {**identity, "ops": ops.VERSION, "made_from": dict(made_from), "versions": artifact.versions()}
    info = json.dumps(details)
    return {
        "pv_image_size": torch.tensor([preprocess.height, preprocess.width]),
        "pv_mean": torch.tensor(preprocess.mean, dtype=torch.float32),
        "pv_std": torch.tensor(preprocess.std, dtype=torch.float32),
        "pv_dim": torch.tensor([outputs]),
        "pv_fingerprint": torch.frombuffer(bytearray(fingerprint), dtype=torch.uint8),
        "pv_info": torch.frombuffer(bytearray(info.encode()), dtype=torch.uint8),
    }


def _lower(module: nn.Module, preprocess: Preprocess, constants: dict[str, torch.Tensor]):
    """torch module -> ExecutorchProgramManager; what XNNPACK cannot take stays on portable or lookup ops."""
    # torchao, which ExecuTorch imports, makes torch warn of a call of its own that a user can do nothing about
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import EdgeCompileConfig, ExecutorchBackendConfig, to_edge_transform_and_lower

    example = torch.zeros(1, 3, preprocess.height, preprocess.width)
    try:
        with torch.no_grad():
            exported = torch.export.export(module.eval(), (example,), strict=False)
            edge = to_edge_transform_and_lower(
                exported,
                partitioner=[XnnpackPartitioner()],
                constant_methods=constants,
                compile_config=EdgeCompileConfig(_check_ir_validity=False),
            )
            return edge.to_executorch(ExecutorchBackendConfig(constant_tensor_alignment=_CONSTANT_ALIGNMENT))
    except (RuntimeError, ValueError, torch._dynamo.exc.TorchDynamoException) as error:
        raise ExportError("the model cannot be exported", found=str(error).splitlines()[0]) from error


def _operators(program) -> list[str]:
    """``namespace::name.overload`` of every op the program's methods call outside delegates."""
    found = {
        f"{op.name}.{op.overload}" if op.overload else op.name
        for plan in program.executorch_program.execution_plan
        for op in plan.operators
    }
    return sorted(found)

"""From a model to an ExecuTorch program (.pte)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pocketvlad import artifact
from pocketvlad.compress.compressed import CompressedModel, describe_activations
from pocketvlad.compress.recipe import INT8
from pocketvlad.export.check import check_delegated, check_operators
from pocketvlad.export.convolutions import Choice, choose_convolutions
from pocketvlad.export.fold import fold, semantics_of
from pocketvlad.export.lower import lower, operators
from pocketvlad.lut import ops
from pocketvlad.model.netvlad import PlaceModel
from pocketvlad.model.preprocess import Preprocess


def export_model(
    model: PlaceModel | CompressedModel,
    out: Path | str,
    *,
    preprocess: Preprocess | None = None,
    semantics: str | None = None,
    convolutions: str | None = None,
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
        convolutions: of a compressed model, ``lut``, ``int8`` or ``measured``; None: as its recipe says.
        made_from: provenance, stored for people.
        force: overwrite ``out``.

    Returns:
        Bytes written.

    Raises:
        ExportError: torch or ExecuTorch refuse the model, or the phone runtime lacks one of its ops.
    """
    config = replace(model.config, preprocess=preprocess or model.config.preprocess)
    semantics = semantics_of(model, semantics)
    if not isinstance(model, CompressedModel):
        return export_module(
            model,
            out,
            config={**config.to_json(), "int8": []},
            preprocess=config.preprocess,
            outputs=config.descriptor_dim,
            semantics="float32",
            made_from=made_from or {},
            force=force,
        )
    choice = choose_convolutions(model, convolutions, semantics, config.preprocess)
    return export_module(
        fold(model, semantics, choice.convolutions),
        out,
        config={**config.to_json(), "int8": sorted(model.int8), **_grids(model, choice)},
        preprocess=config.preprocess,
        outputs=config.descriptor_dim,
        semantics=semantics,
        made_from=made_from or {},
        choice=choice,
        force=force,
    )


def _grids(compressed: CompressedModel, choice: Choice) -> dict[str, Any]:
    """The part of the fingerprint that no tensor holds."""
    int8 = choice.convolutions == INT8
    return {"activations": describe_activations(compressed.activations)} if int8 else {}


def export_module(
    module: nn.Module,
    out: Path | str,
    *,
    config: Mapping[str, Any],
    preprocess: Preprocess,
    outputs: int,
    semantics: str,
    made_from: Mapping[str, Any],
    choice: Choice | None = None,
    force: bool = False,
) -> int:
    """Write the program of a module float32 [1, 3, H, W] -> float32 [1, outputs]; bytes written.

    ``config`` and ``semantics`` are part of its fingerprint, ``choice`` is noted; the rest as in :func:`export_model`.

    Raises:
        ExportError: torch or ExecuTorch refuse the module, or the phone runtime lacks one of its ops.
    """
    identity = {"config": dict(config), "semantics": semantics}
    notes = {"made_from": dict(made_from), **(choice.to_json() if choice else {})}
    constants = _constant_methods(module, identity, preprocess, outputs, notes)
    program = lower(module, preprocess, constants)
    check_operators(operators(program))
    if choice is not None and choice.convolutions == INT8:
        check_delegated(operators(program))
    with artifact.atomic_path(out, force=force) as temporary, open(temporary, "wb") as file:
        program.write_to_file(file)
    return Path(out).stat().st_size


def _constant_methods(
    module: nn.Module,
    identity: Mapping[str, Any],
    preprocess: Preprocess,
    outputs: int,
    notes: Mapping[str, Any],
) -> dict[str, torch.Tensor]:
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}
    fingerprint = bytes.fromhex(artifact.tensors_fingerprint(tensors, identity))
    details = {**identity, "ops": ops.VERSION, **notes, "versions": artifact.versions()}
    info = json.dumps(details)
    return {
        "pv_image_size": torch.tensor([preprocess.height, preprocess.width]),
        "pv_mean": torch.tensor(preprocess.mean, dtype=torch.float32),
        "pv_std": torch.tensor(preprocess.std, dtype=torch.float32),
        "pv_dim": torch.tensor([outputs]),
        "pv_fingerprint": torch.frombuffer(bytearray(fingerprint), dtype=torch.uint8),
        "pv_info": torch.frombuffer(bytearray(info.encode()), dtype=torch.uint8),
    }

"""From a network to an ExecuTorch program (.pte)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pocketvlad import artifact
from pocketvlad.compress.calibrate.arithmetic import first_tensor
from pocketvlad.compress.compressed import Compressed, describe_activations
from pocketvlad.compress.recipe import INT8, LUT
from pocketvlad.errors import ExportError
from pocketvlad.export.check import check_delegated, check_operators
from pocketvlad.export.convolutions import Choice, choose_convolutions
from pocketvlad.export.lower import lower, operators, photo_example
from pocketvlad.export.pack import pack, semantics_of
from pocketvlad.lut import contract
from pocketvlad.model.backbones import backbone_spec
from pocketvlad.model.network import Network, NetworkConfig
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.runtime.sealed import seal_program

FLOAT = "float32"


@dataclass(frozen=True, eq=False)
class _Source:
    """What is lowered, and what the program says of it.

    Attributes:
        module: the module.
        example: one input.
        identity: JSON that is part of the fingerprint: configuration, semantics.
        preprocess: from a photo to the input; None where the inputs are no photos.
        outputs: values of the first output.
        choice: of what computes the convolutions.
    """

    module: nn.Module
    example: tuple[Tensor, ...]
    identity: Mapping[str, Any]
    preprocess: Preprocess | None
    outputs: int
    choice: Choice | None = None


def export_program(
    network: nn.Module | Compressed,
    out: Path | str,
    *,
    preprocess: Preprocess | None = None,
    example: Sequence[Tensor] | None = None,
    semantics: str | None = None,
    convolutions: str | None = None,
    made_from: Mapping[str, Any] | None = None,
    force: bool = False,
) -> int:
    """Write the program of a compressed network, or of an uncompressed one for comparison.

    Args:
        network: compressed, it becomes packed layers and lookup ops; else XNNPACK float32.
        out: the ``.pte``.
        preprocess: another input size than the network's own.
        example: one input, of a module that is no network of ours: its shapes are the program's.
        semantics: of a compressed network's kernels, see :func:`pocketvlad.export.pack.pack`; None: as its recipe
            says.
        convolutions: of a compressed network, ``lut``, ``int8`` or ``measured``; None: as its recipe says.
        made_from: provenance, stored for people.
        force: overwrite ``out``.

    Returns:
        Bytes written.

    Raises:
        ExportError: torch or ExecuTorch refuse the network, the phone runtime lacks one of its ops, or there is no
            example of its input.
    """
    source = _source(network, preprocess, example, semantics_of(network, semantics), convolutions)
    notes = {"made_from": dict(made_from or {}), **(source.choice.to_json() if source.choice else {})}
    program = lower(source.module, source.example, _constant_methods(source, notes))
    check_operators(operators(program))
    if source.choice is not None and source.choice.convolutions == INT8:
        check_delegated(operators(program))
    with artifact.atomic_path(out, force=force) as temporary:
        with open(temporary, "wb") as file:
            program.write_to_file(file)
        seal_program(temporary)
    return Path(out).stat().st_size


def _source(
    network: nn.Module | Compressed,
    preprocess: Preprocess | None,
    example: Sequence[Tensor] | None,
    semantics: str,
    convolutions: str | None,
) -> _Source:
    plain = network.skeleton if isinstance(network, Compressed) else network
    if not isinstance(plain, Network):
        return _module_source(network, example, semantics)
    config = replace(plain.config, preprocess=preprocess or plain.config.preprocess)
    config.check_size()
    _require_made_for(plain, config)
    inputs = photo_example(config.preprocess)
    if not isinstance(network, Compressed):
        identity = {"config": config.to_json(), "int8": [], "semantics": FLOAT}
        return _Source(network, inputs, identity, config.preprocess, plain.outputs)
    choice = choose_convolutions(network, convolutions, semantics, config.preprocess)
    identity = {**_identity(network, config, choice), "semantics": semantics}
    packed = pack(network, semantics, choice.convolutions)
    return _Source(packed, inputs, identity, config.preprocess, plain.outputs, choice)


def _require_made_for(network: Network, config: NetworkConfig) -> None:
    """A backbone with its input's size in its weights takes no other."""
    if backbone_spec(config.backbone).sized and config.size != network.config.size:
        height, width = network.config.size
        raise ExportError(
            f"backbone {config.backbone} has its input size in its weights",
            found=f"{config.size[0]}x{config.size[1]}",
            allowed=f"{height}x{width}",
            do="import the checkpoint again for the size wanted",
        )


def _identity(compressed: Compressed, config: NetworkConfig, choice: Choice) -> dict[str, Any]:
    """The part of the fingerprint that no tensor holds."""
    found: dict[str, Any] = {"config": config.to_json(), "int8": sorted(compressed.int8)}
    if choice.convolutions != LUT:
        found["activations"] = describe_activations(compressed.activations)
    return found


def _module_source(
    network: nn.Module | Compressed, example: Sequence[Tensor] | None, semantics: str
) -> _Source:
    if example is None:
        raise ExportError("the module's input is not known", do="give one example input, a batch of 1")
    compressed = isinstance(network, Compressed)
    module = pack(network, semantics) if isinstance(network, Compressed) else network.eval()
    plain = network.to_torch() if isinstance(network, Compressed) else network
    with torch.no_grad():
        outputs = first_tensor(plain(*example)).numel()
    name = type(network.skeleton if isinstance(network, Compressed) else network).__name__
    int8 = sorted(network.int8) if isinstance(network, Compressed) else []
    identity = {"config": {"module": name}, "int8": int8, "semantics": semantics if compressed else FLOAT}
    return _Source(module, tuple(example), identity, None, outputs)


def _constant_methods(source: _Source, notes: Mapping[str, Any]) -> dict[str, Tensor]:
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in source.module.state_dict().items()}
    fingerprint = bytes.fromhex(artifact.tensors_fingerprint(tensors, source.identity))
    info = json.dumps({**source.identity, "ops": contract.VERSION, **notes, "versions": artifact.versions()})
    found = {
        "pv_dim": torch.tensor([source.outputs]),
        "pv_fingerprint": torch.frombuffer(bytearray(fingerprint), dtype=torch.uint8),
        "pv_info": torch.frombuffer(bytearray(info.encode()), dtype=torch.uint8),
    }
    preprocess = source.preprocess
    if preprocess is not None:
        found |= {
            "pv_image_size": torch.tensor([preprocess.height, preprocess.width]),
            "pv_mean": torch.tensor(preprocess.mean, dtype=torch.float32),
            "pv_std": torch.tensor(preprocess.std, dtype=torch.float32),
        }
        found |= {} if preprocess.upright else {"pv_upright": torch.tensor([0])}
    return found

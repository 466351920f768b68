"""Public checkpoint layouts, one file each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from pocketvlad import artifact
from pocketvlad.errors import CheckpointError
from pocketvlad.importer import dvgl, nanne, openibl, patchnetvlad, relja, torchvision
from pocketvlad.importer.reading import read_checkpoint, read_content
from pocketvlad.importer.types import BackboneWeights, ImportedModel
from pocketvlad.model.network import save_model

__all__ = [
    "BACKBONE_KIND",
    "LAYOUTS",
    "BackboneWeights",
    "ImportedModel",
    "import_checkpoint",
    "read_backbone_weights",
    "save_imported",
]

BACKBONE_KIND = "backbone"

# a new layout is one file and one line here; the first that matches reads the file
LAYOUTS: dict[str, ModuleType] = {
    "patchnetvlad": patchnetvlad,
    "nanne": nanne,
    "openibl": openibl,
    "dvgl": dvgl,
    "relja": relja,
    "torchvision": torchvision,
}


def import_checkpoint(path: Path | str, layout: str = "auto") -> ImportedModel:
    """Read a place-recognition model, or a backbone alone.

    Args:
        path: the checkpoint.
        layout: a key of :data:`LAYOUTS`, or ``auto``.

    Raises:
        CheckpointError: unreadable, of no known layout, or nearly one (saying what differs).
    """
    path = Path(path)
    if layout != "auto" and layout not in LAYOUTS:
        raise CheckpointError("unknown layout", found=repr(layout), allowed=", ".join(["auto", *LAYOUTS]))
    content = read_content(path)
    if artifact.kind_of(path) not in (None, BACKBONE_KIND):
        raise CheckpointError(f"{path} is a pocketvlad model already", do="use it as it is")
    candidates = LAYOUTS.values() if layout == "auto" else [LAYOUTS[layout]]
    for module in candidates:
        if module.matches(content):
            return _named(path, module, content)
    keys = ", ".join(list(content)[:3])
    allowed = ", ".join(LAYOUTS) if layout == "auto" else layout
    raise CheckpointError(
        f"checkpoint {path} is of no known layout", found=f"keys such as {keys}", allowed=allowed
    )


def _named(path: Path, module: ModuleType, content: dict[str, Any]) -> ImportedModel:
    """``module.load`` with the file's name in its errors."""
    try:
        return module.load(content)
    except CheckpointError as error:
        raise CheckpointError(
            f"{path}: {error.what}", found=error.found, allowed=error.allowed, do=error.do
        ) from error


def read_backbone_weights(path: Path | str) -> dict[str, Tensor]:
    """The state dict of a torchvision backbone, from ``.safetensors`` or ``.pth``."""
    return read_checkpoint(Path(path))


def save_imported(
    out: Path | str, imported: ImportedModel, made_from: Mapping[str, Any], *, force: bool = False
) -> None:
    """Write what was imported: a model file, or a backbone's weights for a fit.

    Raises:
        ArtifactError: ``out`` exists or cannot be written.
    """
    if imported.model is not None:
        save_model(out, imported.model, made_from, force=force)
    elif imported.backbone is not None:
        backbone = imported.backbone
        tensors = {key: value.numpy() for key, value in backbone.weights.items()}
        config = {"backbone": backbone.name, "classes": backbone.classes}
        info = {
            "config": config,
            "fingerprint": artifact.tensors_fingerprint(tensors, config),
            "made_from": dict(made_from),
        }
        artifact.save_tensors(out, BACKBONE_KIND, tensors, info, force=force)

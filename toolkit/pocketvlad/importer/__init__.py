"""Public checkpoint layouts, one file each."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from torch import Tensor

from pocketvlad.errors import CheckpointError
from pocketvlad.importer import nanne
from pocketvlad.importer.reading import read_checkpoint
from pocketvlad.importer.types import ImportedModel

__all__ = ["LAYOUTS", "ImportedModel", "import_checkpoint", "read_backbone_weights"]

LAYOUTS: dict[str, ModuleType] = {"nanne": nanne, "patchnetvlad": nanne}


def import_checkpoint(path: Path, layout: str = "auto") -> ImportedModel:
    """Read a whole place-recognition model.

    Args:
        path: the checkpoint.
        layout: a key of :data:`LAYOUTS`, or ``auto``.

    Raises:
        CheckpointError: unreadable, of no known layout, or nearly one (saying what differs).
    """
    if layout != "auto" and layout not in LAYOUTS:
        raise CheckpointError("unknown layout", found=repr(layout), allowed=", ".join(["auto", *LAYOUTS]))
    tensors = read_checkpoint(path)
    candidates = LAYOUTS.values() if layout == "auto" else [LAYOUTS[layout]]
    for module in candidates:
        if module.matches(tensors):
            return module.load(tensors)
    hint = None
    if any(key.startswith(("features.", "layer1.")) for key in tensors):
        hint = "this is a backbone alone: run `pocketvlad fit --backbone NAME --weights FILE`"
    raise CheckpointError(
        f"checkpoint {path} is of no known layout",
        found=f"keys such as {', '.join(list(tensors)[:3])}",
        allowed=", ".join(LAYOUTS),
        do=hint,
    )


def read_backbone_weights(path: Path) -> dict[str, Tensor]:
    """The state dict of a torchvision backbone, from ``.safetensors`` or ``.pth``."""
    return read_checkpoint(path)

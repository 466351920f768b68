"""A checkpoint of any public layout -> a model of ours, or a backbone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from pocketvlad import artifact
from pocketvlad.errors import CheckpointError, RecipeError
from pocketvlad.importer import (
    boq,
    convap,
    cosplace,
    dinov2,
    dvgl,
    megaloc,
    mixvpr,
    nanne,
    openibl,
    patchnetvlad,
    relja,
    salad,
    torchvision,
)
from pocketvlad.importer.common import NO_SIZE
from pocketvlad.importer.files import require_checkpoint, require_layout
from pocketvlad.importer.photo_rules import OURS, RULES, PhotoRule
from pocketvlad.importer.reading import Content, read_content, read_state
from pocketvlad.importer.types import ImportedModel, OtherLayoutError
from pocketvlad.importer.unsupported import refuse_unsupported
from pocketvlad.model.backbones.dinov2 import Size
from pocketvlad.model.kinds import BACKBONE
from pocketvlad.model.network import Network, save_model
from pocketvlad.schema import one_of

# a new layout is one file and one line here; the first that matches reads the file
LAYOUTS: dict[str, ModuleType] = {
    "patchnetvlad": patchnetvlad,
    "nanne": nanne,
    "openibl": openibl,
    "cosplace": cosplace,
    "mixvpr": mixvpr,
    "convap": convap,
    "salad": salad,
    "megaloc": megaloc,
    "boq": boq,
    "dinov2": dinov2,
    "dvgl": dvgl,
    "relja": relja,
    "torchvision": torchvision,
}


# of these the input size is part of the weights
_MADE_FOR_A_SIZE: dict[ModuleType, Callable[[Mapping[str, Any], Size], ImportedModel]] = {
    each: each.load for each in (salad, megaloc, boq)
}


def import_checkpoint(
    path: Path | str, layout: str = "auto", size: Size | None = None, preprocess: str = OURS
) -> ImportedModel:
    """Read a place-recognition model, or a backbone alone.

    Args:
        path: the checkpoint.
        layout: a key of :data:`LAYOUTS`, or ``auto``.
        size: height and width of the input, or by other rules than ours of the photos; None: the layout's own.
        preprocess: a key of :data:`pocketvlad.importer.photo_rules.RULES`, whose photos the model is to see.

    Raises:
        CheckpointError: unreadable, of no known layout, or nearly one (saying what differs).
        RecipeError: a size the model cannot take.
    """
    path = Path(path)
    require_layout(layout)
    one_of("import", "preprocess", preprocess, tuple(RULES))
    require_checkpoint(path)
    read = read_content(path)
    content = read.values
    candidates = LAYOUTS.values() if layout == "auto" else [LAYOUTS[layout]]
    with _naming(path):
        refuse_unsupported(content)
        for module in candidates:
            with _tried(content, layout):
                if module.matches(content):
                    imported = _loaded(module, content, size, RULES[preprocess])
                    return replace(imported, notes=(*read.notes, *imported.notes))
    raise _not_read(path, content, layout)


@contextlib.contextmanager
def _tried(content: dict[str, Any], layout: str) -> Iterator[None]:
    """A layout that is tried unasked may be another one; where it was asked for, the right one is named."""
    try:
        yield
    except CheckpointError as error:
        if layout == "auto" and isinstance(error, OtherLayoutError):
            return
        right = None if layout == "auto" else _right_layout(content)
        if right is None:
            raise
        what = f"this is no checkpoint of layout {layout}, it is one of {right}"
        raise CheckpointError(what, do="leave the layout out") from error


def _right_layout(content: dict[str, Any]) -> str | None:
    """The first layout that reads a file as it is."""
    for name, module in LAYOUTS.items():
        with contextlib.suppress(CheckpointError, RecipeError):
            if module.matches(content):
                module.load(content)
                return name
    return None


def _not_read(path: Path, content: dict[str, Any], layout: str) -> CheckpointError:
    found = f"keys such as {', '.join(list(content)[:3])}"
    if layout == "auto":
        what = f"checkpoint {path} is of no known layout"
        return CheckpointError(what, found=found, allowed=", ".join(LAYOUTS))
    what = f"checkpoint {path} is not of layout {layout}"
    likely = next((name for name in LAYOUTS if _is_nearly(LAYOUTS[name], content)), None)
    if likely is None:
        return CheckpointError(what, found=found)
    return CheckpointError(f"{what}, it looks like {likely}", found=found, do="leave the layout out")


def _is_nearly(module: ModuleType, content: dict[str, Any]) -> bool:
    """Whether a layout reads a file, or would but for a few differences."""
    if not module.matches(content):
        return False
    try:
        module.load(content)
    except OtherLayoutError:
        return False
    except (CheckpointError, RecipeError):
        return True
    return True


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors about a checkpoint's content get its name."""
    try:
        yield
    except (CheckpointError, RecipeError) as error:
        raise type(error)(
            f"{path}: {error.what}", found=error.found, allowed=error.allowed, do=error.do
        ) from error


def _loaded(module: ModuleType, content: dict[str, Any], size: Size | None, rule: PhotoRule) -> ImportedModel:
    wanted = None if size is None else rule.size(size, content)
    if wanted is not None and module in _MADE_FOR_A_SIZE:
        imported = _MADE_FOR_A_SIZE[module](content, wanted)
    else:
        imported = module.load(content)
    if imported.model is None:
        return imported
    if wanted is None:
        return replace(imported, model=rule.applied(imported.model))
    notes = tuple(note for note in imported.notes if note != NO_SIZE)
    return replace(imported, model=rule.applied(_resized(imported.model, wanted)), notes=notes)


def _resized(network: Network, size: Size) -> Network:
    """The same network for another input size."""
    height, width = size
    if network.config.size == size:
        return network
    config = replace(
        network.config, preprocess=replace(network.config.preprocess, height=height, width=width)
    )
    config.check_size()
    return Network(config, network.backbone, network.head, network.whitening).eval()


def read_backbone_weights(path: Path | str) -> Content:
    """The state dict of a torchvision backbone, from ``.safetensors`` or ``.pth``, and notes about the file."""
    return read_state(Path(path))


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
        artifact.save_tensors(out, BACKBONE, tensors, info, force=force)

"""A public checkpoint -> a model of ours, or a backbone that a fit makes one of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketvlad import artifact
from pocketvlad.errors import CheckpointError
from pocketvlad.importer.checkpoint import import_checkpoint, save_imported
from pocketvlad.importer.photo_rules import OURS
from pocketvlad.importer.torchvision import build_classifier
from pocketvlad.importer.types import ImportedModel
from pocketvlad.model.kinds import BACKBONE, CLASSIFIER
from pocketvlad.model.network import KIND, Network, save_model
from pocketvlad.outputs import require_outputs
from pocketvlad.schema import one_of
from pocketvlad.steps.common import Result, megabytes


@dataclass(frozen=True)
class Imported(Result):
    """What a checkpoint became.

    Attributes:
        layout: the checkpoint's, for people.
        out, mb: the file written.
        kind: ``model``, ``classifier`` or ``backbone``.
        input: its size of a model or a classifier, ``HEIGHTxWIDTH`` in pixels.
        head_name: of a model or a classifier.
        descriptor: how many values a model gives for a photo.
        notes: what the file left open and what was assumed, a line each.
        config: of the network, or the backbone's name and classes.
    """

    layout: str
    out: str
    mb: float
    kind: str
    input: str | None
    head_name: str | None
    descriptor: int | None
    notes: tuple[str, ...]
    config: dict[str, Any]


def import_file(
    checkpoint: Path,
    out: Path,
    *,
    layout: str = "auto",
    wanted: str = KIND,
    size: tuple[int, int] | None = None,
    preprocess: str = OURS,
    force: bool = False,
) -> Imported:
    """Read a checkpoint as a ``model`` (or a backbone to fit one to), or whole as a ``classifier``.

    ``size``: height and width of a model's input; None: the layout's own. ``preprocess``: whose photos it is to see, a
    key of :data:`pocketvlad.importer.photo_rules.RULES`.

    Raises:
        CheckpointError: it cannot be read, is of no known layout, or is no classifier where one is wanted.
        RecipeError: a size the model cannot take.
    """
    one_of("import", "as", wanted, (KIND, CLASSIFIER))
    require_outputs([out], [checkpoint], force=force)
    imported = import_checkpoint(checkpoint, layout, size, preprocess)
    network = classifier_of(imported, checkpoint) if wanted == CLASSIFIER else imported.model
    source = {"checkpoint": checkpoint.name, "sha256": artifact.file_sha256(checkpoint)}
    made_from = {**source, "layout": imported.layout}
    if preprocess != OURS:
        made_from["preprocess"] = preprocess
    if network is None:
        save_imported(out, imported, made_from, force=force)
        kind, config = BACKBONE, _backbone_config(imported)
    else:
        save_model(out, network, made_from, force=force)
        kind, config = wanted, network.config.to_json()
    shown = _shown(network)
    return Imported(imported.layout, str(out), megabytes(out), kind, *shown, imported.notes, config)


def _shown(network: Network | None) -> tuple[str | None, str | None, int | None]:
    """Input size, head and values of a descriptor, which a classifier has none of."""
    if network is None:
        return None, None, None
    height, width = network.config.size
    values = network.outputs if network.head.describes else None
    return f"{height}x{width}", network.config.head, values


def classifier_of(imported: ImportedModel, checkpoint: Path) -> Network:
    """The whole classifier of a checkpoint.

    Raises:
        CheckpointError: it holds none.
    """
    if imported.backbone is None:
        raise CheckpointError(
            f"{checkpoint} is not a classifier", found=imported.layout, allowed="torchvision's networks"
        )
    return build_classifier(imported.backbone)


def _backbone_config(imported: ImportedModel) -> dict[str, Any]:
    backbone = imported.backbone
    return {} if backbone is None else {"backbone": backbone.name, "classes": backbone.classes}

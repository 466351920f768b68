"""facebookresearch/dinov2 (Apache-2.0): the transformer alone, which a fit makes a model of.

DINOv2's own keys, bare or under ``backbone.`` (``teacher`` of a training dump, whose heads are left out). With
a recogniser's head that no other layout reads it is refused, also under ``backbone.model.``.
"""

from __future__ import annotations

from collections.abc import Sequence

from pocketvlad.errors import CheckpointError
from pocketvlad.importer.backbones import transformer, with_plain_blocks
from pocketvlad.importer.types import BackboneWeights, ImportedModel, Tensors

LAYOUT = "facebookresearch/dinov2"
_PREFIXES = ("backbone.", "backbone.model.", "")
_SHOWN = 3  # keys of a head that an error names
_TRAINING = ("dino_head.", "ibot_head.")  # of a training dump


def matches(tensors: Tensors) -> bool:
    return any(f"{prefix}patch_embed.proj.weight" in tensors for prefix in _PREFIXES)


def load(tensors: Tensors) -> ImportedModel:
    """CheckpointError when a key is missing, left over or has another shape."""
    prefix = next(each for each in _PREFIXES if f"{each}patch_embed.proj.weight" in tensors)
    tensors = {key: value for key, value in tensors.items() if not key.startswith(_TRAINING)}
    tensors = with_plain_blocks(tensors, prefix)
    head = [key for key in tensors if prefix and not key.startswith(prefix)]
    found = transformer(tensors, prefix, LAYOUT, class_token=False, last_norm=not head)
    found.require({key: value for key, value in tensors.items() if key not in head}, LAYOUT, {})
    if head:
        raise _other_head(prefix, head, found.name)
    return ImportedModel(None, LAYOUT, (), BackboneWeights(found.name, found.weights(tensors), None))


def _other_head(prefix: str, head: Sequence[str], name: str) -> CheckpointError:
    return CheckpointError(
        "this is DINOv2 with a head that is not supported",
        found=f"keys such as {', '.join(head[:_SHOWN])}",
        allowed="SALAD, MegaLoc, BoQ or DINO-Mix under their own keys",
        do=f"save what is under {prefix!r} alone, without that prefix, and fit a head to it: `pocketvlad fit` with "
        f"backbone {name} and these weights",
    )

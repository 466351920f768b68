"""facebookresearch/dinov2 (Apache-2.0): the transformer alone, which a fit makes a model of.

DINOv2's own keys, bare or under ``backbone.`` (``teacher`` of a training dump, whose heads are left out).
"""

from __future__ import annotations

from pocketvlad.importer.backbones import transformer, with_plain_blocks
from pocketvlad.importer.types import BackboneWeights, ImportedModel, Tensors

LAYOUT = "facebookresearch/dinov2"
_PREFIXES = ("backbone.", "")
_TRAINING = ("dino_head.", "ibot_head.")  # of a training dump


def matches(tensors: Tensors) -> bool:
    return any(f"{prefix}patch_embed.proj.weight" in tensors for prefix in _PREFIXES)


def load(tensors: Tensors) -> ImportedModel:
    """CheckpointError when a key is missing, left over or has another shape."""
    prefix = next(each for each in _PREFIXES if f"{each}patch_embed.proj.weight" in tensors)
    tensors = {key: value for key, value in tensors.items() if not key.startswith(_TRAINING)}
    tensors = with_plain_blocks(tensors, prefix)
    found = transformer(tensors, prefix, LAYOUT, class_token=False, last_norm=True)
    found.require(tensors, LAYOUT, {})
    return ImportedModel(None, LAYOUT, (), BackboneWeights(found.name, found.weights(tensors), None))

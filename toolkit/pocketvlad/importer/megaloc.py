"""MegaLoc (gmberton/MegaLoc, MIT): SALAD with wider clusters and a linear layer behind it, in ``.safetensors``.

``backbone.*`` (DINOv2 ViT-B/14), ``aggregator.agg.*`` (SALAD's keys), ``aggregator.linear.weight`` [8448, 16640] and
``.bias`` [8448]. Any input of whole patches; 322x322 is assumed.
"""

from __future__ import annotations

from pocketvlad.importer.salad import SIZE, SaladKeys, has_head, load_salad
from pocketvlad.importer.types import ImportedModel, Tensors
from pocketvlad.model.backbones.dinov2 import Size

KEYS = SaladKeys("gmberton/MegaLoc", "backbone.", "aggregator.agg.", "aggregator.linear")


def matches(tensors: Tensors) -> bool:
    return has_head(tensors, KEYS.head)


def load(tensors: Tensors, size: Size = SIZE) -> ImportedModel:
    """CheckpointError when a key is missing, left over or has another shape; RecipeError for an impossible size."""
    return load_salad(tensors, KEYS, size)

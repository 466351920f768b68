"""Nanne/pytorch-NetVlad ``.pth.tar``.

Keys: ``encoder.N.*`` (torchvision's ``features.N.*``), ``pool.conv.weight`` [K, D, 1, 1],
``pool.conv.bias`` [K] for "vladv2" only, ``pool.centroids`` [K, D]. Flatten order k * D + d, input
RGB / 255 with ImageNet's mean and deviation, not resized there: 480x640 is assumed.
"""

from __future__ import annotations

from pocketvlad.importer.common import NO_SIZE, NetVladKeys, load_netvlad
from pocketvlad.importer.types import ImportedModel, Tensors

KEYS = NetVladKeys("Nanne/pytorch-NetVlad", "encoder.", "pool.conv", "pool.centroids", None)


def matches(tensors: Tensors) -> bool:
    return any(key.startswith(("encoder.", "pool.")) for key in tensors)


def load(tensors: Tensors) -> ImportedModel:
    """CheckpointError when a key is missing, left over or has another shape."""
    return load_netvlad(tensors, KEYS, (NO_SIZE,))

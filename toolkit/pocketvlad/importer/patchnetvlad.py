"""QVPR/Patch-NetVLAD: Nanne's layout and ``WPCA.0.weight`` [P, K * D, 1, 1], ``WPCA.0.bias`` [P].

P is 128, 512 or 4096 in the published files; any other is read too. Input 480x640, ImageNet's mean and
deviation. The model read here is their NetVLAD descriptor, not the patch descriptors matched afterwards.
"""

from __future__ import annotations

from dataclasses import replace

from pocketvlad.importer import nanne
from pocketvlad.importer.common import load_netvlad
from pocketvlad.importer.types import ImportedModel, Tensors

KEYS = replace(nanne.KEYS, layout="QVPR/Patch-NetVLAD", whitening="WPCA.0")


def matches(tensors: Tensors) -> bool:
    return nanne.matches(tensors) and any(key.startswith("WPCA.") for key in tensors)


def load(tensors: Tensors) -> ImportedModel:
    """CheckpointError when a key is missing, left over or has another shape."""
    return load_netvlad(tensors, KEYS)

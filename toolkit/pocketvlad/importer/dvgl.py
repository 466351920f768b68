"""gmberton/deep-visual-geo-localization-benchmark, NetVLAD on VGG16 or AlexNet.

Keys, bare or under ``model_state_dict``: ``backbone.N.*`` (torchvision's ``features.N.*``),
``aggregation.conv.weight`` [K, D, 1, 1], ``aggregation.centroids`` [K, D]. With ``--fc_output_dim P`` they
are ``aggregation.0.*`` and a layer ``aggregation.1.{weight,bias}`` [P, K * D] takes the place of the PCA,
which is never saved. Input 480x640, ImageNet's mean and deviation. ResNet models keep the last ReLU, which
these backbones do not have: they are refused.
"""

from __future__ import annotations

from pocketvlad.importer.common import NetVladKeys, load_netvlad
from pocketvlad.importer.types import ImportedModel, Tensors

LAYOUT = "deep-visual-geo-localization-benchmark"
KEYS = NetVladKeys(LAYOUT, "backbone.", "aggregation.conv", "aggregation.centroids", None)
KEYS_WITH_LAYER = NetVladKeys(
    LAYOUT, "backbone.", "aggregation.0.conv", "aggregation.0.centroids", "aggregation.1", whitening_axes=2
)
NO_PCA = "this layout does not save its PCA: descriptors keep all K * D values"


def matches(tensors: Tensors) -> bool:
    return any(key.startswith(("backbone.", "aggregation.")) for key in tensors)


def load(tensors: Tensors) -> ImportedModel:
    """CheckpointError when a key is missing, left over or has another shape."""
    if any(key.startswith("aggregation.1.") for key in tensors):
        return load_netvlad(tensors, KEYS_WITH_LAYER)
    return load_netvlad(tensors, KEYS, (NO_PCA,))

"""yxgeee/OpenIBL ``vgg16_netvlad``.

Keys: ``base_model.base.N.*`` (torchvision's ``features.N.*``), ``net_vlad.conv.weight`` [K, D, 1, 1],
``net_vlad.centroids`` [K, D], ``pca_layer.weight`` [P, K * D, 1, 1], ``pca_layer.bias`` [P]; training
checkpoints keep the PCA in a file of its own and have no ``pca_layer``. Flatten order k * D + d, input RGB
minus the mean below, times 255, at 480x640 (Tokyo 24/7: shorter side 640).
"""

from __future__ import annotations

from dataclasses import replace

from pocketvlad.importer.common import NetVladKeys, load_netvlad
from pocketvlad.importer.types import ImportedModel, Tensors
from pocketvlad.model.preprocess import Preprocess

MEAN = (0.48501960784313836, 0.4579568627450961, 0.4076039215686255)
STD = (1 / 255, 1 / 255, 1 / 255)
KEYS = NetVladKeys(
    "yxgeee/OpenIBL",
    "base_model.base.",
    "net_vlad.conv",
    "net_vlad.centroids",
    "pca_layer",
    preprocess=Preprocess(480, 640, MEAN, STD),
)
NO_PCA = "the checkpoint has no PCA layer: descriptors keep all K * D values"


def matches(tensors: Tensors) -> bool:
    return any(key.startswith(("base_model.", "net_vlad.", "pca_layer.")) for key in tensors)


def load(tensors: Tensors) -> ImportedModel:
    """CheckpointError when a key is missing, left over or has another shape."""
    if any(key.startswith("pca_layer.") for key in tensors):
        return load_netvlad(tensors, KEYS)
    return load_netvlad(tensors, replace(KEYS, whitening=None), (NO_PCA,))

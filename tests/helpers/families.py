"""One small network of each family of recognisers, of random weights; transformers need ``tiny_transformers``."""

from __future__ import annotations

import torch

from pocketvlad.model.backbones import random_backbone
from pocketvlad.model.heads import head_class
from pocketvlad.model.heads.boq import BoqOptions
from pocketvlad.model.heads.convap import ConvApOptions
from pocketvlad.model.heads.gem import GemOptions
from pocketvlad.model.heads.mixvpr import MixVprOptions
from pocketvlad.model.heads.netvlad import NetVladOptions
from pocketvlad.model.heads.salad import SaladOptions
from pocketvlad.model.network import Network, NetworkConfig
from pocketvlad.model.preprocess import Preprocess

CUT, TINY = "resnet18_layer3", "dinov2_tiny14"
# backbone, head, its options, input size, whether what follows the backbone's last layer stays
FAMILIES = {
    "cosplace": (CUT, "gem", GemOptions(32, 2.7), (64, 64), True),
    "benchmark": (CUT, "netvlad", NetVladOptions(4), (64, 64), True),
    "convap": (CUT, "convap", ConvApOptions(16), (96, 96), True),
    "mixvpr": (CUT, "mixvpr", MixVprOptions(8, 2, 32, 3), (128, 128), True),
    "salad": (f"{TINY}_class", "salad", SaladOptions(20, 8, 6, 10, 24), (56, 70), True),
    "megaloc": (f"{TINY}_reg_class", "salad", SaladOptions(20, 8, 6, 10, 24, 16), (56, 70), True),
    "boq": (TINY, "boq", BoqOptions(128, 8, 2, 4), (56, 70), False),
    "boq-resnet": (CUT, "boq", BoqOptions(64, 8, 2, 4), (64, 64), True),
    "netvlad-on-a-transformer": (TINY, "netvlad", NetVladOptions(4), (56, 70), False),
}


def network(name: str) -> Network:
    """In eval mode."""
    backbone, head, options, size, kept = FAMILIES[name]
    config = NetworkConfig(backbone, Preprocess(*size), head, options, last_activation=kept)
    torch.manual_seed(0)
    features = random_backbone(backbone, last_activation=kept, size=size)
    return Network(config, features, head_class(head)(config.channels, options)).eval()

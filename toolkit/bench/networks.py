"""Place recognisers with random weights, in the sizes they are published in."""

from __future__ import annotations

import torch
from torch import nn

from pocketvlad.model.backbones import backbone_spec, random_backbone
from pocketvlad.model.heads.base import HeadOptions
from pocketvlad.model.heads.gem import Gem, GemOptions
from pocketvlad.model.heads.mixvpr import MixVpr, MixVprOptions
from pocketvlad.model.heads.netvlad import NetVlad, NetVladOptions
from pocketvlad.model.heads.salad import Salad, SaladOptions
from pocketvlad.model.network import Network, NetworkConfig
from pocketvlad.model.preprocess import Preprocess

NETVLAD, GEM, MIXVPR, SALAD, MEGALOC = "netvlad", "gem", "mixvpr", "salad", "megaloc"
TRANSFORMERS = (SALAD, MEGALOC)  # heads behind them
_MEGALOC_VALUES = 256  # of a cluster
_HEADS = {
    GEM: ("gem", Gem),
    MIXVPR: ("mixvpr", MixVpr),
    SALAD: ("salad", Salad),
    MEGALOC: ("salad", Salad),
}


def random_network(
    backbone: str, dim: int, height: int, width: int, clusters: int = 64, head: str = NETVLAD
) -> Network:
    """Backbone, head and, behind NetVLAD, whitening with random weights of a fixed seed, in eval mode.

    Args:
        backbone: a name of :data:`pocketvlad.model.backbones.BACKBONES`.
        dim: of the descriptor; SALAD's and MixVPR's follow from their published sizes.
        height, width: of the input.
        clusters: NetVLAD's.
        head: one of the names above; MegaLoc is SALAD with twice the values and a linear layer.
    """
    torch.manual_seed(0)
    size = Preprocess(height, width)
    if head == NETVLAD:
        return _whitened(backbone, dim, size, clusters)
    name, kind = _HEADS[head]
    options = _options(head, backbone, dim, size)
    transformer = head in TRANSFORMERS
    config = NetworkConfig(backbone, size, name, options, last_activation=transformer)
    drawn = random_backbone(backbone, last_activation=transformer, size=(height, width))
    return Network(config, drawn, kind(config.channels, options)).eval()


def _whitened(backbone: str, dim: int, size: Preprocess, clusters: int) -> Network:
    config = NetworkConfig(backbone, size, options=NetVladOptions(clusters), dim=dim)
    vlad = NetVlad(config.channels, NetVladOptions(clusters))
    whitening = nn.Linear(vlad.outputs, dim)
    nn.init.normal_(whitening.weight, std=0.01)
    return Network(config, random_backbone(backbone), vlad, whitening).eval()


def _options(head: str, backbone: str, dim: int, size: Preprocess) -> HeadOptions:
    if head == GEM:
        return GemOptions(dim)
    stride = backbone_spec(backbone).stride
    if head == MIXVPR:
        return MixVprOptions(side=size.height // stride)
    patches = (size.height // stride) * (size.width // stride)
    if head == SALAD:
        return SaladOptions(patches)
    return SaladOptions(patches, cluster_dim=_MEGALOC_VALUES, dim=dim)

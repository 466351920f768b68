"""A tiny but real place recogniser, classifiers, and photos with structure."""

from __future__ import annotations

import torch
import torchvision

from pocketvlad.importer.torchvision import build_classifier, load
from pocketvlad.model.backbones import random_backbone
from pocketvlad.model.heads import head_class
from pocketvlad.model.heads.base import HeadOptions
from pocketvlad.model.heads.netvlad import NetVlad, NetVladOptions
from pocketvlad.model.network import Network, NetworkConfig
from pocketvlad.model.preprocess import Preprocess


def make_photos(count: int, size: int = 64, seed: int = 0) -> torch.Tensor:
    """Smooth random pictures, float32 [count, 3, size, size]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, size // 8, size // 8, generator=generator)
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic", align_corners=False)


def make_network(
    backbone: str = "squeezenet1_1",
    head: str = "netvlad",
    options: HeadOptions | None = None,
    dim: int | None = None,
    preprocess: Preprocess | None = None,
) -> Network:
    """Any network with torch's random initialisation of a fixed seed, in eval mode."""
    torch.manual_seed(0)
    kind = head_class(head)
    options = kind.Options() if options is None else options
    config = NetworkConfig(backbone, preprocess or Preprocess(64, 64), head, options, dim)
    features, made = random_backbone(backbone), kind(config.channels, options)
    whitening = torch.nn.Linear(made.outputs, dim) if dim else None
    return Network(config, features, made, whitening).eval()


def make_model(
    backbone: str = "squeezenet1_1",
    clusters: int = 4,
    dim: int | None = 16,
    preprocess: Preprocess | None = None,
) -> Network:
    """NetVLAD whose clusters differ and a whitening of noise, for 64x64 photos or as ``preprocess`` says."""
    model = make_network(backbone, "netvlad", NetVladOptions(clusters), dim, preprocess)
    with torch.no_grad():
        assert isinstance(model.head, NetVlad)
        model.head.assignment.weight.mul_(20)
        if model.whitening is not None:
            model.whitening.weight.normal_(generator=torch.Generator().manual_seed(1))
            model.whitening.bias.normal_(std=0.1, generator=torch.Generator().manual_seed(2))
    return model


def make_classifier(name: str, classes: int = 7) -> Network:
    """torchvision's own initialisation of a fixed seed, batch norms with real statistics."""
    torch.manual_seed(0)
    whole = getattr(torchvision.models, name)(weights=None, num_classes=classes)
    if any(isinstance(module, torch.nn.BatchNorm2d) for module in whole.modules()):
        whole.train()(torch.randn(4, 3, 64, 64))
    return build_classifier(load(whole.eval().state_dict()).backbone)

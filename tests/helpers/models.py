"""A tiny but real place model, and photos with structure."""

from __future__ import annotations

import torch
from pocketvlad.model.netvlad import ModelConfig, PlaceModel

from pocketvlad.model.backbones import build_backbone
from pocketvlad.model.preprocess import Preprocess


def make_photos(count: int, size: int = 64, seed: int = 0) -> torch.Tensor:
    """Smooth random pictures, float32 [count, 3, size, size]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, size // 8, size // 8, generator=generator)
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic", align_corners=False)


def make_model(backbone: str = "squeezenet1_1", clusters: int = 4, dim: int | None = 16) -> PlaceModel:
    """A model with random weights of a fixed seed, in eval mode, for 64x64 photos."""
    torch.manual_seed(0)
    config = ModelConfig(backbone, clusters, dim, Preprocess(64, 64))
    model = PlaceModel(config, build_backbone(backbone)).eval()
    with torch.no_grad():
        model.pool.assignment.weight.mul_(20)
        if model.whitening is not None:
            model.whitening.weight.normal_(generator=torch.Generator().manual_seed(1))
            model.whitening.bias.normal_(std=0.1, generator=torch.Generator().manual_seed(2))
    return model

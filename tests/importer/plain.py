"""Plain re-implementations of what other projects compute, for comparison: no code of the package in here."""

from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def photo(path: Path, height: int = 480, width: int = 640) -> Path:
    """A photo that needs no resizing: waves, so that every region differs."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (11 + 7 * c) + c) + np.cos(y / (17 - 4 * c)) + np.sin(x * y / 9e3) for c in range(3)]
    pixels = np.clip(128 + 42 * np.stack(waves, axis=-1), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def to_tensor(path: Path) -> Tensor:
    """torchvision's ToTensor: float32 [1, 3, H, W] in 0..1."""
    return torch.from_numpy(np.asarray(Image.open(path), np.float32) / 255).permute(2, 0, 1)[None]


def normalised(path: Path, mean=IMAGENET_MEAN, std=IMAGENET_STD) -> Tensor:
    """ToTensor and Normalize."""
    return (to_tensor(path) - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)


def convolutions(name: str, seed: int = 0) -> nn.Sequential:
    """torchvision's ``features`` without the last ReLU and max-pool, seeded random weights."""
    torch.manual_seed(seed)
    if name == "vgg16":  # not through the class, which draws 124M numbers for the classifier
        features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    else:
        features = torchvision.models.alexnet(weights=None).features
    layers = nn.Sequential(*list(features.children())[:-2])
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.normal_(layer.bias, std=0.1)
    return layers.eval()


def random_pool(clusters: int, channels: int, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Soft assignment [K, D, 1, 1], its bias [K], centres [K, D]: sharp enough to tell clusters apart."""
    random = torch.Generator().manual_seed(seed)
    weight = 8 * torch.randn(clusters, channels, 1, 1, generator=random)
    return (
        weight,
        torch.randn(clusters, generator=random),
        torch.rand(clusters, channels, generator=random) / 8,
    )


def random_whitening(rows: int, columns: int, seed: int = 2) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=random), torch.randn(rows, generator=random) / 4


def netvlad_by_clusters(x: Tensor, weight: Tensor, bias: Tensor | None, centroids: Tensor) -> Tensor:
    """The loop of Nanne's NetVLAD.forward: [1, D, H, W] -> [1, K * D], index k * D + d."""
    x = functional.normalize(x, p=2, dim=1)
    assignment = functional.softmax(functional.conv2d(x, weight, bias).view(1, len(weight), -1), dim=1)
    flat = x.view(1, x.shape[1], -1)
    vlad = torch.zeros(1, len(weight), x.shape[1])
    for k in range(len(weight)):
        residual = flat - centroids[k][None, :, None]
        vlad[:, k] = (residual * assignment[:, k : k + 1]).sum(dim=-1)
    vlad = functional.normalize(vlad, p=2, dim=2)
    return functional.normalize(vlad.view(1, -1), p=2, dim=1)


def whitened(vlad: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return functional.normalize(vlad @ weight.T + bias, p=2, dim=1)

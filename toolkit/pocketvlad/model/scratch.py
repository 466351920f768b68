"""A backbone from nothing but photos: data-driven filters, no labels, no download.

For the demo and for domains without any pretrained network. Every convolution is initialised in the order it
runs, on the outputs of those before it: random orthonormal filters in the principal subspace of its input
patches, each filter scaled to unit output variance (layer-sequential unit variance, Mishkin and Matas, "All you
need is a good init", ICLR 2016). The first convolution gets the principal components themselves and their
negatives, so that the ReLU after it keeps both signs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_PATCHES = 8_000  # input patches a layer is fitted on


def init_backbone_from_photos(backbone: nn.Sequential, photos: Tensor, seed: int) -> None:
    """Initialise every convolution of ``backbone`` in place.

    Args:
        backbone: of ungrouped convolutions with biases (AlexNet, VGG, SqueezeNet).
        photos: float32 [N, 3, H, W], preprocessed.
        seed: of the sampled patches and the orthonormal filters.
    """
    generator = torch.Generator().manual_seed(seed)
    convolutions = [module for module in backbone.modules() if isinstance(module, nn.Conv2d)]
    first = convolutions[0]

    def before(module: nn.Conv2d, inputs: tuple[Tensor, ...]) -> None:
        patches = _sample_patches(module, inputs[0], generator)
        weight = _signed_components(patches, module, generator) if module is first else None
        if weight is None:
            weight = _orthonormal(patches, module.out_channels, generator)
        deviation = (patches @ weight.T).square().mean(dim=0).sqrt()
        module.weight.copy_((weight / (deviation[:, None] + 1e-6)).reshape(module.weight.shape))
        if module.bias is not None:
            module.bias.zero_()

    hooks = [module.register_forward_pre_hook(before) for module in convolutions]
    try:
        with torch.no_grad():
            backbone(photos)
    finally:
        for hook in hooks:
            hook.remove()


def _sample_patches(module: nn.Conv2d, x: Tensor, generator: torch.Generator) -> Tensor:
    """Random input patches of a convolution, float32 [P, C * kh * kw], the same number from each photo."""
    each = max(1, _PATCHES // len(x))
    samples = []
    padding = tuple(int(side) for side in module.padding)
    for image in x:
        columns = functional.unfold(image[None], module.kernel_size, module.dilation, padding, module.stride)[
            0
        ]
        picks = torch.randperm(columns.shape[1], generator=generator)[:each]
        samples.append(columns[:, picks].T)
    return torch.cat(samples)


def _principal(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Variances, descending, and directions as rows."""
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    return values.flip(0).clamp_min(0), vectors.flip(1).T


def _signed_components(patches: Tensor, module: nn.Conv2d, generator: torch.Generator) -> Tensor:
    """Components of contrast-normalised patches and their negatives; mixtures of them fill what is left."""
    variances, directions = _principal(patches - patches.mean(dim=1, keepdim=True))
    half = min(module.out_channels // 2, patches.shape[1] - 1)
    components = directions[:half]
    weight = torch.cat([components, -components])
    missing = module.out_channels - len(weight)
    if missing > 0:
        spread = variances[:half].sqrt() + 0.1 * variances[0].sqrt()
        mixtures = torch.randn(missing, half, generator=generator) / spread
        weight = torch.cat([weight, functional.normalize(mixtures, dim=1) @ components])
    return weight


def _orthonormal(patches: Tensor, filters: int, generator: torch.Generator) -> Tensor:
    """Random orthonormal filters in the principal subspace, blind to the mean patch."""
    mean = functional.normalize(patches.mean(dim=0), dim=0)
    _, directions = _principal(patches - (patches @ mean)[:, None] * mean)
    rank = min(patches.shape[1] - 1, filters)
    mixed, _ = torch.linalg.qr(torch.randn(max(filters, rank), rank, generator=generator))
    weight = mixed[:filters] @ directions[:rank]
    return weight - (weight @ mean)[:, None] * mean

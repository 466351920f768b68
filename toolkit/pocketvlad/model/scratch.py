"""Weights for a backbone when there are none to read: fitted to photos layer by layer, without training.

Each convolution, in the order it runs, gets the leading principal directions of the patches that reach it,
under a random rotation: it keeps as much of their energy as its width allows and spreads it evenly over its
channels. All biases are 0 and all directions are orthogonal to the mean patch, so the network is positively
homogeneous: twice the contrast gives twice the features, and NetVLAD's norm of every local feature removes
it. With the means in the biases instead, the same directions retrieve no better than a shrunken photo.
The scale of every layer is that of layer-sequential unit variance (Mishkin and Matas, "All you need is a good
init", ICLR 2016).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pocketvlad.errors import PhotoError

_PHOTOS = 24  # of those given, at even distances
_PATCHES = 8_000  # sampled for each convolution
_SMALLEST = 1e-6  # of a channel's root mean square


@torch.no_grad()
def init_backbone_from_photos(backbone: nn.Sequential, photos: Tensor, seed: int) -> None:
    """Set every convolution of ``backbone`` in place.

    Args:
        backbone: float32 [B, 3, H, W] -> [B, D, H', W']; convolutions with or without groups.
        photos: float32 [N, 3, H, W], preprocessed; about two dozen are enough.
        seed: of the sampled patches and of the rotations.

    Raises:
        ValueError: ``photos`` is not [N, 3, H, W] with N > 0.
        PhotoError: too small for the backbone, or all alike: nothing varies at one of its layers.
    """
    if photos.ndim != 4 or photos.shape[1] != 3 or not len(photos):
        raise ValueError(f"photos of shape {tuple(photos.shape)}; wanted [N, 3, H, W]")
    random = torch.Generator().manual_seed(seed)
    step = -(-len(photos) // _PHOTOS)
    first = True

    def fit(convolution: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal first
        if isinstance(convolution, nn.Conv2d):
            _fit_convolution(convolution, inputs[0], random, first=first)
            first = False

    hooks = [module.register_forward_pre_hook(fit) for module in backbone.modules()]
    try:
        backbone(photos[::step])
    except torch.linalg.LinAlgError:
        raise PhotoError(
            "no backbone can be built from these photos: at one of its layers nothing varies",
            found=f"{photos.shape[2]}x{photos.shape[3]} pixels",
            do="give a larger size, other photos, or the backbone's weights",
        ) from None
    finally:
        for hook in hooks:
            hook.remove()


def _fit_convolution(convolution: nn.Conv2d, x: Tensor, random: torch.Generator, *, first: bool) -> None:
    groups, rows = convolution.groups, convolution.out_channels // convolution.groups
    patches = sample_patches(convolution, x, random).unflatten(1, (groups, -1))  # [n, groups, columns]
    for group in range(groups):
        part = patches[:, group]
        weight = _edge_filters(part, rows, random) if first else _directions(part, rows, random)
        power = (part @ weight.T).square().mean(dim=0).sqrt()
        weight = weight / power.clamp_min(_SMALLEST)[:, None]
        own = slice(group * rows, (group + 1) * rows)
        convolution.weight[own] = weight.reshape(convolution.weight[own].shape)
    if convolution.bias is not None:
        convolution.bias.zero_()


def sample_patches(convolution: nn.Conv2d, x: Tensor, random: torch.Generator) -> Tensor:
    """Random patches as the convolution sees them, [n, C * kh * kw]; x is [B, C, H, W]."""
    (kh, kw), (sh, sw) = convolution.kernel_size, convolution.stride
    (dh, dw), (ph, pw) = convolution.dilation, (int(p) for p in convolution.padding)
    x = functional.pad(x, (pw, pw, ph, ph))
    height = (x.shape[2] - dh * (kh - 1) - 1) // sh + 1
    width = (x.shape[3] - dw * (kw - 1) - 1) // sw + 1
    count = min(height * width, -(-_PATCHES // len(x)))
    offset_rows, offset_columns = torch.arange(kh)[:, None] * dh, torch.arange(kw)[None, :] * dw
    patches = []
    for photo in x:
        place = torch.randperm(height * width, generator=random)[:count]
        rows = (place // width * sh)[:, None, None] + offset_rows  # [count, kh, 1]
        columns = (place % width * sw)[:, None, None] + offset_columns  # [count, 1, kw]
        patches.append(photo[:, rows, columns].transpose(0, 1).flatten(1))
    return torch.cat(patches)


def _edge_filters(patches: Tensor, rows: int, random: torch.Generator) -> Tensor:
    """For the first layer: leading directions of patches without their mean, each with both signs.

    A ReLU keeps one sign; directions that are left over after the pairs are random mixtures.
    """
    leading, scale = _principal(patches - patches.mean(dim=1, keepdim=True))
    pairs = min(rows // 2, patches.shape[1] - 1)
    leading, scale = leading[:pairs], scale[:pairs]
    weight = torch.cat([leading, -leading])
    if len(weight) < rows:
        mixture = torch.randn(rows - len(weight), pairs, generator=random) / (scale + 0.1 * scale[:1])
        weight = torch.cat([weight, functional.normalize(mixture, dim=1) @ leading])
    return weight


def _directions(patches: Tensor, rows: int, random: torch.Generator) -> Tensor:
    """Leading directions orthogonal to the mean patch, rotated at random; [rows, columns]."""
    mean = functional.normalize(patches.mean(dim=0), dim=0)
    leading, _ = _principal(patches - (patches @ mean)[:, None] * mean)
    kept = max(1, min(rows, patches.shape[1] - 1))
    rotation = torch.linalg.qr(torch.randn(max(rows, kept), kept, generator=random)).Q
    weight = rotation[:rows] @ leading[:kept]
    return weight - (weight @ mean)[:, None] * mean


def _principal(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Directions [columns, columns] by falling second moment, and the roots of those moments."""
    moments, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
    return directions.T.flip(0), moments.flip(0).clamp_min(0).sqrt()

"""The ``fast`` semantics of the kernels in plain torch: int8 activations and centroids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad.lut.tensor import LutTensor


def quantize_input(x: Tensor) -> Tensor:
    """float32 [B, ...] -> the values int8 activations stand for, one scale per image."""
    lowest, highest = x.flatten(1).aminmax(dim=1)
    largest = highest.maximum(-lowest).clamp_min(torch.finfo(x.dtype).tiny)
    scale = (largest / 127).reshape(-1, *([1] * (x.dim() - 1)))
    return (x / scale).round_().clamp_(-127, 127).mul_(scale)


def quantize_image(x: Tensor) -> Tensor:
    """As :func:`quantize_input`, with 8 bits and no sign for each image that needs none: convolutions' inputs."""
    lowest, highest = x.flatten(1).aminmax(dim=1)
    largest = highest.maximum(-lowest).clamp_min(torch.finfo(x.dtype).tiny)
    steps = torch.where(lowest < 0, 127.0, 255.0)
    ones = [1] * (x.dim() - 1)
    scale, steps = (largest / steps).reshape(-1, *ones), steps.reshape(-1, *ones)
    return (x / scale).round_().clamp_(-steps, steps).mul_(scale)


def snap_codebook(codebook: np.ndarray) -> np.ndarray:
    """Centroids float32 [G, L] on the int8 grid of their group, where the ``fast`` kernels see them."""
    scale = np.abs(codebook).max(axis=1, keepdims=True) / np.float32(127)
    safe = np.where(scale > 0, scale, 1)
    return (np.rint(codebook / safe) * scale).astype(np.float32)


def fast_weight(lut: LutTensor) -> np.ndarray:
    """The weight the ``fast`` kernels compute with, float32 of the layer's shape."""
    return replace(lut, codebook=snap_codebook(lut.codebook)).dequantize()


def quantize_rows(x: Tensor) -> Tensor:
    """As :func:`quantize_input`, one scale per row of float32 [..., I]: linear layers' inputs."""
    return quantize_input(x.reshape(-1, x.shape[-1])).reshape(x.shape)


def quantized_like(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer's input as its ``fast`` kernel sees it."""
    return quantize_rows(x) if isinstance(layer, nn.Linear) else quantize_image(x)


def quantize_inputs_of(layer: nn.Module) -> None:
    """From now on ``layer`` sees its input as the ``fast`` kernels do."""
    layer.register_forward_pre_hook(lambda module, inputs: (quantized_like(module, inputs[0]),))

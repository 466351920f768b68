"""A grid of int8 values that stands for a range of activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.ao.quantization.fx._decomposed  # registers the ops that XNNPACK's partitioner knows
from torch import Tensor

from pocketvlad.errors import KernelError

LOWEST, HIGHEST = -128, 127
OPS = torch.ops.quantized_decomposed


@dataclass(frozen=True)
class ActivationGrid:
    """Values ``(q - zero_point) * scale`` of int8 q, the same for every photo.

    Raises:
        KernelError: a scale that is no positive float32, or a zero point that is no int8.
    """

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        scale, zero = self.scale, self.zero_point
        numbers = isinstance(scale, float) and isinstance(zero, int) and not isinstance(zero, bool)
        tiny, largest = (float(getattr(np.finfo(np.float32), name)) for name in ("tiny", "max"))
        if not numbers or not tiny <= scale <= largest or not LOWEST <= zero <= HIGHEST:
            raise KernelError(
                "activations cannot be quantized",
                found=f"scale {scale!r}, zero point {zero!r}",
                allowed="a positive float32 and an int8",
            )

    @classmethod
    def spanning(cls, low: float, high: float) -> ActivationGrid:
        """256 steps from ``low``, at most 0, to ``high``, at least 0; 0 is one of them."""
        scale = float(np.float32((high - low) / (HIGHEST - LOWEST)))
        if scale < np.finfo(np.float32).tiny:
            return cls(1.0, LOWEST)
        return cls(scale, min(max(round(LOWEST - low / scale), LOWEST), HIGHEST))

    def quantize(self, x: Tensor) -> Tensor:
        """float32 -> int8, values beyond the grid to its ends."""
        return OPS.quantize_per_tensor(x, self.scale, self.zero_point, LOWEST, HIGHEST, torch.int8)

    def dequantize(self, q: Tensor) -> Tensor:
        """int8 -> float32."""
        return OPS.dequantize_per_tensor(q, self.scale, self.zero_point, LOWEST, HIGHEST, torch.int8)

    def nearest(self, x: Tensor) -> Tensor:
        """float32 -> what the next layer sees of it, float32."""
        return self.dequantize(self.quantize(x))

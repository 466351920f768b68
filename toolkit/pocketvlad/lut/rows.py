"""Small matrices of constants at 8 bits: int8 values and a scale for each row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class QuantizedRows:
    """``matrix[r] = values[r] * scale[r]``.

    Attributes:
        values: int8 [R, C].
        scale: float32 [R].
    """

    values: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray) -> QuantizedRows:
        """The nearest of float32 [R, C], uniform steps from -127 to 127 of each row's largest value."""
        largest = np.abs(matrix).max(axis=1)
        scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        return cls(np.rint(matrix / scale[:, None]).astype(np.int8), scale)

    def dequantize(self) -> np.ndarray:
        """float32 [R, C]."""
        return self.values.astype(np.float32) * self.scale[:, None]

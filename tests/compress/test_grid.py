"""Grids of int8 values for activations."""

import pytest
import torch

from pocketvlad.compress.grid import ActivationGrid
from pocketvlad.errors import KernelError


@pytest.mark.parametrize(("low", "high"), [(0.0, 3.0), (-1.0, 5.0), (-7.0, 0.0), (-0.1, 0.1)])
def test_a_grid_holds_zero_and_is_off_by_half_a_step(low, high):
    grid = ActivationGrid.spanning(low, high)
    x = torch.linspace(low, high, 1001)
    assert grid.nearest(torch.zeros(1)) == 0
    assert (grid.nearest(x) - x).abs().max() <= grid.scale * 1.001  # the ends give half a step to zero
    assert (grid.nearest(x) - x).abs().median() <= grid.scale / 2


@pytest.mark.parametrize(
    "bad", [(0.0, 0), (-1.0, 0), (float("nan"), 0), (float("inf"), 0), (1, 0), (1.0, 128), (1.0, 0.5)]
)
def test_a_grid_that_is_none_is_refused(bad):
    with pytest.raises(KernelError, match="cannot be quantized"):
        ActivationGrid(*bad)

"""Layers of one row for each input: what they were fitted to, whatever the width."""

import dataclasses

import pytest
import torch
from torch import nn

from pocketvlad.compress.calibrate import wide
from pocketvlad.compress.calibrate.wide import block_of, fit_wide
from pocketvlad.compress.codes.int8 import fast_weight
from pocketvlad.compress.recipe import LayerRecipe

ONE_OF_16 = LayerRecipe(bits=2, row_scale="rms", block=16, layout="one-of", pin_zero=False, calibrate="gptq")


@pytest.mark.parametrize(
    "columns, asked, multiple, block",
    [
        (16640, 0, 1, 416),  # MegaLoc's
        (16640, 0, 16, 416),
        (1040, 0, 16, 208),  # 260 is larger, and ends inside a sixteen
        (1040, 52, 1, 52),
        (1040, 52, 16, 208),
        (1040, 7, 1, 260),
        (34, 0, 16, 34),  # no sixteens at all
    ],
)
def test_blocks_of_statistics_hold_whole_blocks_of_weights(columns, asked, multiple, block):
    assert block_of(columns, asked, multiple) == block


@torch.no_grad()
def test_one_weight_of_16_is_kept_where_the_largest_divisor_breaks_a_16():
    torch.manual_seed(0)
    layer, x = nn.Linear(1040, 12), torch.randn(40, 1040)
    lut, bias = fit_wide(layer, ONE_OF_16, x, x, 0)
    assert lut.mask is not None and (lut.mask.reshape(12, -1, 16).sum(axis=2) == 1).all()
    assert bias is not None and bias.shape == (12,)


def scenes(energies: list[float], seed: int, count: int = 60, size: int = 48) -> torch.Tensor:
    """Vectors of clusters that vary alike, each by its energy: float32 [count, clusters * size]."""
    mixing = torch.randn(size, size, generator=torch.Generator().manual_seed(5)) * torch.linspace(
        0.1, 2, size
    )
    drawn = torch.randn(count, len(energies), size, generator=torch.Generator().manual_seed(seed))
    return ((drawn @ mixing.T) * torch.tensor(energies)[:, None]).flatten(1)


@torch.no_grad()
def test_one_kind_of_scene_says_what_errors_cost_in_another(monkeypatch):
    """What clusters have in common is learnt where they are seen, and used where they are not."""
    torch.manual_seed(0)
    layer = nn.Linear(8 * 48, 24)
    seen, other = scenes([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1], 1), scenes([0.1, 0.1, 0.1, 0.1, 1, 1, 1, 1], 2)

    def lost() -> float:
        lut, _ = fit_wide(layer, ONE_OF_16, seen, seen, 48)
        wrong = (torch.from_numpy(fast_weight(lut)) - layer.weight) @ (other - other.mean(dim=0)).T
        return float(wrong.square().sum())

    pooled = lost()
    monkeypatch.setattr(wide, "FEW_SURVIVORS", dataclasses.replace(wide.FEW_SURVIVORS, pooled=0.0))
    assert pooled < lost()

"""How far second moments are believed: no further than they serve other examples."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pocketvlad.compress.calibrate import fit
from pocketvlad.compress.calibrate.fit import DAMPINGS, chosen_damping, expected_error, fit_layer
from pocketvlad.compress.calibrate.moments import Moments, layer_moments
from pocketvlad.compress.calibrate.views import enough_examples
from pocketvlad.compress.recipe import LayerRecipe

INPUTS, LOCATIONS = 192, 16
RECIPE = LayerRecipe(3, "kmeans", row_scale="max", calibrate="gptq")


def examples(count: int, seed: int) -> list[torch.Tensor]:
    """Rows of some energy in every direction, more of it in some."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(INPUTS, INPUTS, generator=torch.Generator().manual_seed(9)) * torch.linspace(
        0.2, 2, INPUTS
    )
    return [torch.randn(1, LOCATIONS, INPUTS, generator=generator) @ mixing.T for _ in range(count)]


def moments(layer: nn.Linear, seen: list[torch.Tensor]) -> Moments:
    return layer_moments(layer, seen, seen, torch.Generator().manual_seed(0))


def lost(layer: nn.Linear, seen: Moments, others: torch.Tensor) -> float:
    """Squared error of the outputs on inputs that fitted nothing, relative to the outputs."""
    used = torch.from_numpy(fit_layer(layer, RECIPE, seen).lut.dequantize())
    return float(((used - layer.weight) @ others.T).square().sum() / (layer.weight @ others.T).square().sum())


@pytest.fixture
def layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(INPUTS, 48, bias=False).requires_grad_(False)


def test_few_examples_are_believed_less(layer):
    few, many = moments(layer, examples(8, 1)), moments(layer, examples(400, 1))
    assert chosen_damping(few) > chosen_damping(many)


def test_what_is_chosen_serves_examples_never_seen(layer, monkeypatch):
    """Fewer rows than inputs: compensation that believes them all does worse than one that does not."""
    few, others = moments(layer, examples(8, 1)), torch.cat(examples(40, 2), dim=1)[0]
    chosen = lost(layer, few, others)
    monkeypatch.setattr(fit, "DAMPINGS", DAMPINGS[:1])
    assert chosen < 0.85 * lost(layer, few, others)


@pytest.mark.parametrize(("inputs", "off"), [(6, 1e-4), (90, 0.05)], ids=["exact", "estimated"])
def test_the_expected_error_of_rounding(inputs, off):
    """Each column's error of 1, made up for in the columns behind it by least squares."""
    torch.manual_seed(0)
    trusted, real = (x @ x.T / 400 for x in (torch.randn(inputs, 400), torch.randn(inputs, 400)))
    wanted = 0.0
    for column in range(inputs):
        later = trusted[column + 1 :, column + 1 :]
        error = torch.zeros(inputs)
        error[column] = 1
        error[column + 1 :] = -torch.linalg.solve(later, trusted[column + 1 :, column])
        wanted += float(error @ real @ error)
    assert expected_error(trusted[None], real[None]) == pytest.approx(wanted, rel=off)


def test_moments_of_halves_are_those_of_every_other_example(layer):
    seen = examples(5, 3)
    both = moments(layer, seen).halves
    assert both is not None
    for half, start in zip(both, (0, 1), strict=True):
        assert torch.allclose(half, moments(layer, seen[start::2]).gram, rtol=1e-4, atol=1e-3)
    assert moments(layer, seen[:1]).halves is None


def test_few_photos_are_looked_at_in_several_views():
    photos = [(torch.rand(1, 3, 8, 8),) for _ in range(3)]
    views = enough_examples(photos, 10)
    assert len(views) == 9 and torch.equal(views[3][0], photos[1][0])
    assert torch.equal(views[1][0], photos[0][0].flip(3))
    assert len(enough_examples(photos, 2)) == 2
    rows = [(torch.rand(1, 5),) for _ in range(3)]
    assert enough_examples(rows, 10) == rows

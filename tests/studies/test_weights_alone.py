"""Weights as other toolkits round them: by their own code, held against the formula, and their bytes."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from helpers.models import make_model
from pocketvlad.compress.layers import compressible_layers
from pocketvlad.errors import ArtifactError
from studies.weights_alone import CoreAi, Integers, symmetric


@pytest.mark.parametrize(("bits", "block"), [(4, 64), (4, 32), (2, 32), (8, 64)])
def test_integers_are_those_of_the_formula(bits, block):
    weight = torch.randn(6, 64, generator=torch.Generator().manual_seed(bits))
    found = symmetric(weight, bits, block).numpy().reshape(6, -1, block)
    parts = weight.numpy().reshape(6, -1, block)
    step = 2 * np.abs(parts).max(axis=2, keepdims=True) / (2**bits - 1)
    wanted = np.clip(np.rint(parts / step), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) * step
    # the largest weight lies between two integers: either is as near
    assert np.mean(np.abs(found - wanted) < 1e-5) > 0.95
    assert (np.abs(found - parts) <= step * 0.5001).all()


def test_bytes_are_codes_scales_and_the_rest_in_halves():
    model = make_model()
    layers = compressible_layers(model)
    found = Integers(4, 8, block=32).rounded(model)
    weights = sum(layer.weight.numel() for layer in layers.values())
    last = layers["whitening"].weight
    scales = sum(
        layer.weight.numel() // (32 if layer.weight[0].numel() % 32 == 0 else layer.weight[0].numel())
        for layer in layers.values()
    )
    others = sum(each.numel() for each in model.parameters()) - weights
    assert found.bytes == last.numel() // 2 + (weights - last.numel()) + 2 * scales + 2 * others
    changed = dict(compressible_layers(found.network))
    assert all(not torch.equal(changed[name].weight, layer.weight) for name, layer in layers.items())


def test_a_palette_has_as_many_values_as_its_tables():
    if importlib.util.find_spec("coreai_opt") is None:
        with pytest.raises(ArtifactError, match="coreai-opt is missing"):
            CoreAi(2).rounded(make_model())
        return
    found = CoreAi(2).rounded(make_model())
    for layer in compressible_layers(found.network).values():
        rows = len(layer.weight)
        tables = rows // 16 if rows % 16 == 0 else 1
        assert len(layer.weight.unique()) <= 4 * tables

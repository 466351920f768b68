"""Codes of vectors and rotated inputs, as the study of them computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pocketvlad.compress.codes.compensation import Curvature, compensate
from pocketvlad.compress.codes.rounding import Levels
from studies.vectors import Wide, compensated_vectors, rotated, rotation, scalar, vectors

ROWS, BLOCKS, BLOCK, PHOTOS = 6, 3, 16, 12


@pytest.fixture
def wide():
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(ROWS, BLOCKS * BLOCK, generator=generator)
    mixed = torch.randn(BLOCKS * BLOCK, BLOCKS * BLOCK, generator=generator)
    inputs = torch.randn(PHOTOS * 40, BLOCKS * BLOCK, generator=generator) @ mixed
    return Wide(weight, torch.zeros(ROWS), BLOCK, inputs)


@pytest.fixture
def curvature(wide):
    parts = wide.inputs.reshape(len(wide.inputs), BLOCKS, BLOCK)
    blocks = torch.stack([parts[:, k].T @ parts[:, k] for k in range(BLOCKS)]) / len(parts)
    return Curvature(blocks, wide.inputs[:PHOTOS])


def test_vectors_of_one_weight_are_codes_of_single_weights(wide, curvature):
    centroids = torch.linspace(-2, 2, 8)
    levels = Levels(centroids[None], torch.zeros(ROWS, dtype=torch.int64), torch.ones(ROWS))
    wanted = centroids[torch.from_numpy(compensate(wide.weight, levels, curvature).codes.astype(np.int64))]
    found = compensated_vectors(wide.weight, torch.ones(ROWS), centroids[:, None], curvature)
    # up to the scale that is fitted to each row
    pulled = curvature.times(wanted)
    scale = (wide.weight * pulled).sum(dim=1) / (wanted * pulled).sum(dim=1)
    assert torch.allclose(found, wanted * scale[:, None], atol=1e-5)


def test_errors_made_up_for_cost_less_than_nearest_centroids(wide, curvature):
    generator = torch.Generator().manual_seed(2)
    centroids = torch.randn(256, 4, generator=generator)
    found = compensated_vectors(wide.weight, torch.ones(ROWS), centroids, curvature)
    pieces = wide.weight.reshape(-1, 4)
    nearest = centroids[torch.cdist(pieces, centroids).argmin(dim=1)].reshape(wide.weight.shape)

    def cost(weight):
        error = weight - wide.weight
        return float((error * curvature.times(error)).sum())

    assert cost(found) < 0.7 * cost(nearest)


def test_a_rotation_is_turned_back(wide):
    turn = rotation(BLOCK)
    assert torch.allclose(turn @ turn.T, torch.eye(BLOCK), atol=1e-6)
    assert torch.allclose(turn.abs(), torch.full((BLOCK, BLOCK), BLOCK**-0.5))
    seen = []

    def inner(turned):
        seen.append(turned)
        return turned.weight, 7

    found, size = rotated(inner)(wide)
    assert size == 7 and torch.allclose(found, wide.weight, atol=1e-5)
    # what the turned weights make of the turned inputs is what the layer makes of its own
    outputs = seen[0].inputs @ seen[0].weight.T
    assert torch.allclose(outputs, wide.inputs @ wide.weight.T, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("rounded", "bits"), [(scalar(bits=2), 2), (scalar(bits=2, block=4), 1), (scalar(bits=1, block=8), 0.5)]
)
def test_bytes_of_single_codes_are_those_of_the_packed_layer(wide, rounded, bits):
    wide = Wide(torch.randn(64, 512), torch.zeros(64), 256, torch.randn(40, 512))
    weight, size = rounded(wide)
    assert weight.shape == wide.weight.shape
    assert size == pytest.approx(wide.weight.numel() * bits / 8 + 4 * 64, rel=0.02)


def test_bytes_of_vectors_are_codes_centroids_and_scales():
    wide = Wide(torch.randn(64, 512), torch.zeros(64), 256, torch.randn(40, 512))
    weight, size = vectors(8)(wide)
    assert weight.shape == wide.weight.shape and size == 64 * 512 // 8 + 4 * (256 * 8 + 64)

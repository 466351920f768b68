"""GeM against its equation in double precision."""

import numpy as np
import pytest
import torch

from pocketvlad.errors import CheckpointError
from pocketvlad.model.heads.gem import Gem, GemOptions


def by_equation(x, power, normalize):
    """[B, D, H, W] -> [B, D], unit length."""
    x = x.double().numpy()
    if normalize:
        x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    pooled = np.power(np.power(np.maximum(x, 1e-6), power).mean(axis=(2, 3)), 1 / power)
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


@torch.no_grad()
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("power", [0.8, 1.0, 2.6, 3.0, 6.5])
def test_it_is_the_power_mean(power, normalize):
    """Half of the values are 0, as is all of one channel: only the clamp keeps their powers apart from 0."""
    x = torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(0)).relu()
    x[:, 4] = 0
    found = Gem(6, GemOptions(power=power, normalize=normalize))(x)
    np.testing.assert_allclose(found.numpy(), by_equation(x, power, normalize), rtol=2e-5, atol=2e-7)


@torch.no_grad()
def test_a_layer_stands_between_the_mean_and_the_length():
    head, x = Gem(6, GemOptions(3, 2.5)), torch.rand(2, 6, 5, 7)
    mean = Gem(6, GemOptions(0, 2.5))
    plain = torch.linalg.vector_norm(mean.pooled(x), dim=1)
    assert float((plain - 1).abs().min()) > 0.01  # so that the length before the layer matters
    wanted = torch.nn.functional.normalize(head.linear(mean.pooled(x)), dim=1)
    torch.testing.assert_close(head(x), wanted)


@pytest.mark.parametrize("power", [0.0, -1.0, float("nan"), float("inf")])
def test_a_power_of_no_mean_is_refused(power):
    with pytest.raises(CheckpointError, match="power of the mean is impossible; found"):
        Gem(6, GemOptions(power=power))

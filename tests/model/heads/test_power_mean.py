"""Generalised mean pooling against NumPy, from equation 3 of Radenovic et al."""

import numpy as np
import pytest
import torch

from pocketvlad.errors import CheckpointError
from pocketvlad.model.heads.gem import Gem, GemOptions


def numpy_gem(x: np.ndarray, power: float, normalize: bool, weight=None, bias=None) -> np.ndarray:
    """Float64 [D, H, W] -> unit float64 [N], location by location."""
    channels = x.shape[0]
    pooled = np.zeros(channels)
    locations = [x[:, i, j] for i in range(x.shape[1]) for j in range(x.shape[2])]
    for feature in locations:
        feature = feature / np.sqrt((feature**2).sum()) if normalize else feature
        pooled += np.maximum(feature, 1e-6) ** power
    pooled = (pooled / len(locations)) ** (1 / power)
    found = pooled if weight is None else weight @ pooled + bias
    return found / np.sqrt((found**2).sum())


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("power", [1.0, 3.0, 2.6])
@pytest.mark.parametrize("dim", [0, 5])
def test_gem_is_the_generalised_mean_of_every_channel(normalize, power, dim):
    torch.manual_seed(0)
    head = Gem(8, GemOptions(dim, power, normalize)).double()
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64)  # half of the values are below the smallest
    linear = None if head.linear is None else head.linear
    values = () if linear is None else (linear.weight.detach().numpy(), linear.bias.detach().numpy())
    with torch.no_grad():
        found = head(x).numpy()
    assert head.outputs == (dim or 8) == found.shape[1]
    for row, photo in zip(found, x.numpy(), strict=True):
        np.testing.assert_allclose(row, numpy_gem(photo, power, normalize, *values), rtol=1e-9)


def test_a_large_power_is_the_largest_value_and_1_the_mean():
    x = torch.rand(1, 4, 5, 5, dtype=torch.float64) + 0.1
    largest, mean = (Gem(4, GemOptions(power=power, normalize=False))(x)[0] for power in (400.0, 1.0))
    wanted = x[0].amax(dim=(1, 2))
    torch.testing.assert_close(largest, wanted / wanted.norm(), rtol=0.02, atol=0)
    average = x[0].mean(dim=(1, 2))
    torch.testing.assert_close(mean, average / average.norm())


def test_a_linear_layer_is_a_projection_that_only_training_gives():
    assert Gem(4, GemOptions()).roles() == {} and Gem(4, GemOptions(2)).roles() == {"linear": "projection"}
    Gem(4, GemOptions()).fit([lambda: torch.rand(1, 4, 2, 2)], seed=0)  # has no values
    with pytest.raises(CheckpointError, match="Gem has values that only training gives"):
        Gem(4, GemOptions(2)).fit([lambda: torch.rand(1, 4, 2, 2)], seed=0)


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

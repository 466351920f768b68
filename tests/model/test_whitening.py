"""PCA whitening as a layer."""

import pytest
import torch

from pocketvlad.errors import PhotoError
from pocketvlad.model.whitening import fit_whitening


def test_whitening_with_fewer_vectors_than_dimensions():
    vectors = torch.randn(40, 2000, generator=torch.Generator().manual_seed(0))
    vectors[:, :20] *= 8
    layer = fit_whitening(vectors.clone(), 16)
    with torch.no_grad():
        white = layer(vectors)
    torch.testing.assert_close(white.mean(dim=0), torch.zeros(16), atol=1e-3, rtol=0)
    covariance = white.T @ white / (len(vectors) - 1)
    torch.testing.assert_close(covariance, torch.eye(16), atol=1e-3, rtol=0)
    singular = torch.linalg.svdvals((vectors - vectors.mean(dim=0)).double())[:16]
    expected = (39**0.5 / singular).float()
    torch.testing.assert_close(layer.weight.norm(dim=1), expected, rtol=1e-3, atol=0)


def test_whitening_refuses_more_dimensions_than_views():
    with pytest.raises(PhotoError, match="needs more photos; found 8 independent views"):
        fit_whitening(torch.randn(8, 100), 8)
    for seed in range(50):  # float32 sums make small variances out of none
        repeated = torch.randn(5, 100, generator=torch.Generator().manual_seed(seed)).repeat(4, 1)
        with pytest.raises(PhotoError, match="needs more photos; found 4 independent views"):
            fit_whitening(repeated, 8)

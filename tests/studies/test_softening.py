"""A softer whitening costs what is asked and is what it says."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from helpers.models import make_model
from helpers.whitened import fitted, vectors, whitening
from studies.softening import soften_whitening

__all__ = ["fitted", "whitening"]  # fixtures


@pytest.mark.parametrize("loss", [1e-4, 1e-3, 5e-3])
def test_a_softer_whitening_turns_the_descriptors_as_far_as_asked(fitted, loss):
    # variances that differ, as those of few photos do not among these 16
    fitted.whitening.weight.data *= torch.linspace(1, 3, 16)[:, None]
    soft = soften_whitening(fitted, loss)
    scales = soft.whitening.weight.norm(dim=1) / fitted.whitening.weight.norm(dim=1)
    components = torch.randn(20_000, 16, generator=torch.Generator().manual_seed(1))
    cosine = (normalize(components) * normalize(components * scales)).sum(dim=1).mean()
    assert float(1 - cosine) == pytest.approx(loss, rel=0.2)


def test_a_softer_whitening_mixes_whitened_and_unwhitened_inner_products(fitted):
    # what is not scaled by the lengths of the rows is the principal components, unwhitened
    fitted.whitening.weight.data *= torch.linspace(1, 3, 16)[:, None]
    fitted.whitening.bias.data *= torch.linspace(1, 3, 16)
    soft = soften_whitening(fitted, 0.01).whitening
    rows = fitted.whitening.weight.norm(dim=1)
    assert torch.allclose(normalize(fitted.whitening.weight), normalize(soft.weight), atol=1e-6)
    x = vectors(12, seed=3)
    with torch.inference_mode():
        whitened, found = fitted.whitening(x), soft(x)
        plain = whitened / rows
        products = (
            torch.stack([(y @ y.T).flatten() for y in (whitened, plain, found)], dim=1).double().numpy()
        )
    parts, residual, *_ = np.linalg.lstsq(products[:, :2], products[:, 2], rcond=None)
    assert parts[0] == pytest.approx(1 - parts[1] * float((rows**-2).mean()), rel=1e-3) and 0 < parts[0] < 1
    assert residual[0] < 1e-6 * np.square(products[:, 2]).sum()


def test_no_more_than_the_unwhitened_inner_product_is_mixed_in_however_much_it_may_cost(fitted):
    lengths = soften_whitening(fitted, 0.9).whitening.weight.detach().norm(dim=1)
    assert torch.allclose(lengths, lengths[0].expand(16), rtol=1e-4)


def test_a_whitening_that_is_no_pca_stays_as_it_is(fitted):
    assert soften_whitening(fitted, 0) is fitted
    learned = make_model(clusters=8, dim=16)
    assert soften_whitening(learned, 0.01) is learned
    plain = make_model(clusters=8, dim=None)
    assert soften_whitening(plain, 0.01) is plain

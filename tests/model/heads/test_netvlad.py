"""NetVLAD by the paper's equation, its initialisation and its packed form."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from pocketvlad.errors import PhotoError
from pocketvlad.model.features import Features
from pocketvlad.model.heads.netvlad import NetVlad, NetVladOptions
from pocketvlad.threads import one_thread


def test_netvlad_is_the_sum_of_softly_assigned_residuals():
    """Equation 4 of the paper, term by term in float64."""
    head = NetVlad(4, NetVladOptions(3, assignment_bias=True)).double()
    x = torch.randn(1, 4, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weight, bias = head.assignment.weight[:, :, 0, 0], head.assignment.bias
    vlad = torch.zeros(3, 4, dtype=torch.float64)
    for location in x[0].flatten(1).T:
        feature = location / location.norm()
        scores = torch.exp(weight @ feature + bias)
        for k in range(3):
            vlad[k] += scores[k] / scores.sum() * (feature - head.centroids[k])
    vlad = torch.stack([row / row.norm() for row in vlad]).flatten()
    torch.testing.assert_close(head(x)[0], vlad / vlad.norm())
    assert head.outputs == 12 and head.block == 4


def test_clusters_come_from_the_photos_and_the_second_weighs_a_hundredth():
    random = torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(16, 16, generator=random))[0][:, :3]  # three kinds of features
    kinds = torch.randint(0, 3, (6, 20), generator=random)
    maps = directions[:, kinds].permute(1, 0, 2) + 0.02 * torch.randn(6, 16, 20, generator=random)
    photos = Features(6, lambda number: maps[number].reshape(1, 16, 4, 5))
    head = NetVlad(16, NetVladOptions(3, assignment_bias=True))
    with torch.no_grad(), one_thread():
        head.fit(photos, seed=0)
        cosines = normalize(head.centroids) @ directions
        local = normalize(maps.permute(0, 2, 1).reshape(-1, 16))
        scores = head.assignment(local[:, :, None, None])[:, :, 0, 0].softmax(dim=1)
    assert (cosines.max(dim=1).values > 0.99).all() and set(cosines.argmax(dim=1).tolist()) == {0, 1, 2}
    largest = scores.sort(dim=1, descending=True).values
    assert float((largest[:, 1] / largest[:, 0]).log().mean()) == pytest.approx(np.log(0.01), abs=0.02)
    assert not head.assignment.bias.any()


def test_fewer_features_than_clusters_are_refused():
    head = NetVlad(8, NetVladOptions(30))
    photos = Features(1, lambda number: torch.randn(1, 8, 4, 5))
    too_few = pytest.raises(
        PhotoError, match="too few local features to cluster; found 20; allowed: at least 30"
    )
    with too_few, one_thread():
        head.fit(photos, seed=0)


@pytest.mark.parametrize("seed", [2**32 - 1, 2**32, 2**63 - 1])
def test_every_seed_that_is_allowed_fits(seed):
    maps = torch.randn(4, 8, 20, generator=torch.Generator().manual_seed(0))
    head = NetVlad(8, NetVladOptions(3))
    with torch.no_grad(), one_thread():
        head.fit(Features(4, lambda number: maps[number].reshape(1, 8, 4, 5)), seed=seed)
    assert head.centroids.isfinite().all()

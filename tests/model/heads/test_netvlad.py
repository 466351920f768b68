"""The model: NetVLAD by hand, backbones cut where they should be, files that come back the same."""

import numpy as np
import pytest
import torch
import torchvision
from pocketvlad.model.netvlad import ModelConfig, NetVlad, PlaceModel, load_model, save_model

from pocketvlad.errors import ArtifactError, CheckpointError, PhotoError
from pocketvlad.model.backbones import BACKBONES, build_backbone
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.model.whitening import fit_whitening

SMALL = Preprocess(64, 96)


def test_netvlad_is_the_sum_of_softly_assigned_residuals():
    """Equation 4 of the paper, term by term in float64."""
    pool = NetVlad(3, 4, bias=True).double()
    x = torch.randn(1, 4, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weight, bias = pool.assignment.weight[:, :, 0, 0], pool.assignment.bias
    vlad = torch.zeros(3, 4, dtype=torch.float64)
    for location in x[0].flatten(1).T:
        feature = location / location.norm()
        scores = torch.exp(weight @ feature + bias)
        for k in range(3):
            vlad[k] += scores[k] / scores.sum() * (feature - pool.centroids[k])
    vlad = torch.stack([row / row.norm() for row in vlad]).flatten()
    torch.testing.assert_close(pool(x)[0], vlad / vlad.norm())


@pytest.mark.parametrize("name", list(BACKBONES))
def test_backbones_have_the_stated_channels_and_no_last_activation(name):
    backbone = build_backbone(name)
    with torch.no_grad():
        features = backbone(torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)))
    assert features.shape[1] == BACKBONES[name].channels
    assert (features < 0).any()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in backbone.modules())


def test_folded_batch_norm_computes_what_torchvision_does():
    classifier = torchvision.models.resnet18(weights=None).eval()
    for module in classifier.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    backbone = build_backbone("resnet18", classifier.state_dict())
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = torch.nn.Sequential(*list(classifier.children())[:-2])(x)
        torch.testing.assert_close(backbone(x).relu(), expected, rtol=1e-3, atol=1e-4)


def test_weights_of_another_network_are_refused():
    weights = torchvision.models.alexnet(weights=None).state_dict()
    with pytest.raises(CheckpointError, match="not those of vgg16; found .*missing keys"):
        build_backbone("vgg16", weights)
    with pytest.raises(CheckpointError, match="unknown backbone; found 'resnet50'"):
        build_backbone("resnet50")


@pytest.mark.parametrize("dim", [None, 10])
def test_a_saved_model_computes_the_same(tmp_path, dim):
    config = ModelConfig("squeezenet1_1", 4, dim, SMALL, assignment_bias=True)
    model = PlaceModel(config).eval()
    if dim:
        torch.nn.init.normal_(model.whitening.weight, std=0.01)
    save_model(tmp_path / "m.safetensors", model, {"test": True})
    loaded = load_model(tmp_path / "m.safetensors")
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), model(x))
        torch.testing.assert_close(loaded(x).norm(dim=1), torch.ones(2))
    assert loaded.config == config and loaded(x).shape == (2, config.descriptor_dim)
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_tensors_that_do_not_fit_their_configuration_are_refused(tmp_path):
    from pocketvlad import artifact

    config = ModelConfig("squeezenet1_1", 4, None, SMALL).to_json()
    artifact.save_tensors(tmp_path / "m", "model", {"a": np.zeros(2)}, {"config": config})
    with pytest.raises(ArtifactError, match="does not fit its own configuration"):
        load_model(tmp_path / "m")


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

"""Networks: backbone, head, whitening; their files, what they say of their layers."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.models import make_classifier, make_model, make_network, make_photos
from pocketvlad import artifact
from pocketvlad.errors import ArtifactError, CheckpointError, PhotoError
from pocketvlad.model.backbones import random_backbone
from pocketvlad.model.fit import backbone_from_photos, fit_network
from pocketvlad.model.heads.gem import GemOptions
from pocketvlad.model.heads.netvlad import NetVladOptions
from pocketvlad.model.network import Network, NetworkConfig, load_model, save_model
from pocketvlad.model.preprocess import Preprocess

SMALL = Preprocess(64, 96)
HEADS = [
    ("netvlad", NetVladOptions(4, assignment_bias=True), None),
    ("netvlad", NetVladOptions(4, assignment_bias=True), 10),
    ("gem", GemOptions(power=2.5, normalize=False), None),
    ("gem", GemOptions(dim=12), None),
    ("gem", GemOptions(), 10),
]


@pytest.mark.parametrize(("head", "options", "dim"), HEADS)
def test_a_saved_model_computes_the_same(tmp_path, head, options, dim):
    model = make_network("squeezenet1_1", head, options, dim, SMALL)
    save_model(tmp_path / "m.safetensors", model, {"test": True})
    loaded = load_model(tmp_path / "m.safetensors")
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), model(x))
        torch.testing.assert_close(loaded(x).norm(dim=1), torch.ones(2))
    assert loaded.config == model.config and loaded(x).shape == (2, model.outputs)
    assert all(parameter.requires_grad for parameter in loaded.parameters()) and not loaded.training


@pytest.mark.parametrize(("head", "options", "dim"), HEADS)
def test_an_empty_network_has_the_places_of_its_values(head, options, dim):
    model = make_network("squeezenet1_1", head, options, dim, SMALL)
    empty = Network.empty(model.config)
    assert all(parameter.is_meta for parameter in empty.parameters())
    shapes = [{n: each.shape for n, each in net.state_dict().items()} for net in (model, empty)]
    assert shapes[0] == shapes[1] and empty.outputs == model.outputs and empty.roles() == model.roles()


def test_roles_name_every_layer_in_order():
    model = make_model("resnet18", dim=8)
    kinds = (nn.Conv2d, nn.Linear)
    roles = model.roles()
    assert list(roles) == [name for name, module in model.named_modules() if isinstance(module, kinds)]
    assert roles.pop("head.assignment") == "assignment" and roles.pop("whitening") == "projection"
    assert set(roles.values()) == {"convolution"}
    assert list(make_classifier("mobilenet_v2").roles().values())[-1] == "scores"
    mobile = make_classifier("mobilenet_v3_small").roles()
    assert list(mobile.values())[-2:] == ["linear", "scores"]


def test_the_parts_are_the_network_one_after_the_other():
    model, x = make_model(dim=8), make_photos(2)
    found = x
    with torch.no_grad():
        for _, part in model.parts():
            found = part(found)
        found = found / found.norm(dim=1, keepdim=True)  # behind the whitening
        torch.testing.assert_close(found, model(x))
    inside = [f"{prefix}{n}" for prefix, part in model.parts() for n, _ in part.named_parameters()]
    assert inside == [name for name, _ in model.named_parameters()]
    assert model.constants() == ("head.centroids",) and make_network("resnet18", "gem").constants() == ()


def test_tensors_that_do_not_fit_their_configuration_are_refused(tmp_path):
    config = make_model(dim=None).config.to_json()
    artifact.save_tensors(tmp_path / "m", "model", {"a": np.zeros(2)}, {"config": config})
    with pytest.raises(ArtifactError, match="does not fit its own configuration"):
        load_model(tmp_path / "m")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clusters": 64}, "older pocketvlad"),
        ({"network": "resnet18"}, "older pocketvlad"),
        ({"head": {"name": "netvlad", "clusters": 4, "colour": "red"}}, "colour"),
        ({"head": {"name": "bow"}}, "unknown head; found 'bow'"),
        ({"head": None}, "does not say what its network is"),
        ({"backbone": "lenet"}, "unknown backbone; found 'lenet'"),
    ],
)
def test_a_configuration_that_is_none_is_refused(tmp_path, change, words):
    model = make_model(dim=None)
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    config = {**model.config.to_json(), **change}
    artifact.save_tensors(tmp_path / "m", "model", tensors, {"config": config})
    with pytest.raises((ArtifactError, CheckpointError), match=words):
        load_model(tmp_path / "m")


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({}, "no key 'config'"),
        ({"config": 5}, "does not say what its network is; found int"),
        ({"config": ["head"]}, "does not say what its network is; found list"),
        ({"config": {}}, "no key 'head'"),
    ],
)
def test_a_file_without_a_configuration_is_refused(tmp_path, info, words):
    artifact.save_tensors(tmp_path / "m", "model", {"a": np.zeros(2)}, info)
    with pytest.raises(ArtifactError, match=words):
        load_model(tmp_path / "m")


@pytest.mark.parametrize(("head", "options"), [("netvlad", NetVladOptions(4)), ("gem", GemOptions())])
def test_a_network_is_fitted_to_photos(head, options):
    photos, steps = list(make_photos(10)), []
    config = NetworkConfig("squeezenet1_1", Preprocess(64, 64), head, options, dim=6)
    backbone = backbone_from_photos(config, photos, seed=0)
    model = fit_network(
        config, backbone, photos, seed=0, progress=lambda done, every: steps.append((done, every))
    )
    with torch.no_grad():
        found = model(torch.stack(photos))
    assert found.shape == (10, 6) and torch.isfinite(found).all()
    torch.testing.assert_close(found.norm(dim=1), torch.ones(10))
    assert steps[-1][0] == steps[-1][1] and not model.training
    assert all(not parameter.is_meta and parameter.requires_grad for parameter in model.parameters())
    again = fit_network(config, backbone, photos, seed=0)
    with torch.no_grad():
        assert torch.equal(again(torch.stack(photos)), found)


def test_a_fit_with_too_few_photos_or_a_learned_head_is_refused():
    photos, backbone = list(make_photos(2)), random_backbone("squeezenet1_1")
    config = NetworkConfig("squeezenet1_1", Preprocess(64, 64), "gem", GemOptions(), dim=40)
    with pytest.raises(PhotoError, match="whitening to 40 dimensions needs more photos"):
        fit_network(config, backbone, photos, views=1)
    learned = NetworkConfig("squeezenet1_1", Preprocess(64, 64), "gem", GemOptions(dim=4))
    with pytest.raises(CheckpointError, match="values that only training gives"):
        fit_network(learned, backbone, photos)


def test_weights_that_changed_in_the_file_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, make_model(clusters=2, dim=None), {})
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        ArtifactError, match="is damaged; found tensors that are not those of its fingerprint"
    ):
        load_model(path)

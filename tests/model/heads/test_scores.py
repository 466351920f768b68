"""Classifiers: networks whose head gives scores, as torchvision computes them."""

import pytest
import torch
import torchvision

from helpers.models import make_classifier
from pocketvlad.errors import CheckpointError
from pocketvlad.importer.torchvision import build_classifier, load
from pocketvlad.model.backbones import CLASSIFIERS, classifier_layers, split_classifier
from pocketvlad.model.heads.scores import Scores, ScoresOptions
from pocketvlad.model.network import Network, load_model, save_model
from pocketvlad.model.roles import SCORES


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "resnet18"])
def test_a_classifier_gives_torchvisions_scores(name):
    torch.manual_seed(0)
    whole = getattr(torchvision.models, name)(weights=None, num_classes=7)
    if name != "squeezenet1_1":
        whole.train()(torch.randn(4, 3, 64, 64))
    network = build_classifier(load(whole.eval().state_dict()).backbone)
    x = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(network(x), whole(x), rtol=1e-3, atol=1e-4)
    assert network.outputs == 7 and not network.config.describes


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_last_layer_of_every_classifier_makes_the_scores(name):
    head = Scores(0, ScoresOptions(name, 5))
    roles = head.roles()
    *_, last = roles
    assert [role for role in roles.values() if role == SCORES] == [roles[last]] and head.outputs == 5
    assert len(head.layers.get_submodule(last.removeprefix("layers.")).weight) == 5


def test_a_saved_file_holds_the_same(tmp_path):
    network = make_classifier("resnet18")
    save_model(tmp_path / "m.safetensors", network, {})
    loaded, x = load_model(tmp_path / "m.safetensors"), torch.randn(1, 3, 64, 64)
    assert loaded.config == network.config and loaded.outputs == 7
    with torch.no_grad():
        assert torch.equal(loaded(x), network(x))


def test_an_empty_classifier_keeps_the_last_activation_of_its_features():
    full = make_classifier("squeezenet1_1")
    again = Network.empty(full.config)
    again.load_state_dict(full.state_dict(), assign=True)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert (full.backbone(x) >= 0).all() and torch.equal(again(x), full(x))


def test_weights_of_another_network_are_refused():
    weights = torchvision.models.squeezenet1_1(weights=None, num_classes=3).state_dict()
    with pytest.raises(CheckpointError, match="not those of the classifier resnet18"):
        split_classifier("resnet18", 3, weights)
    with pytest.raises(CheckpointError, match="unknown backbone; found 'lenet'"):
        classifier_layers("lenet", 3)
    with pytest.raises(CheckpointError, match="unknown classifier; found 'alexnet_caffe'; allowed: alexnet"):
        classifier_layers("alexnet_caffe", 3)

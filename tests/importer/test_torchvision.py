"""torchvision's networks: recognised by their tensors, saved as a backbone, whole ones classify."""

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from pocketvlad import artifact
from pocketvlad.errors import CheckpointError
from pocketvlad.importer.checkpoint import import_checkpoint, read_backbone_weights, save_imported
from pocketvlad.importer.torchvision import build_classifier, load
from pocketvlad.model.backbones import CLASSIFIERS, build_backbone

REAL = Path(__file__).parents[2] / "../shared/data/weights/squeezenet1_1-imagenet.safetensors"
SMALL = ("squeezenet1_1", "mobilenet_v2", "resnet18")


def network(name, classes=7):
    torch.manual_seed(0)
    return getattr(torchvision.models, name)(weights=None, num_classes=classes).eval()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", SMALL)
def test_a_classifier_is_recognised_and_computes_the_same(tmp_path, name, suffix):
    original = network(name)
    path = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(original.state_dict(), path)
    imported = import_checkpoint(path)
    assert imported.model is None and imported.backbone.name == name and imported.backbone.classes == 7
    x = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(build_classifier(imported.backbone)(x), original(x))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_features_alone_are_recognised(name):
    with torch.device("meta"):
        state = getattr(torchvision.models, name)(weights=None).state_dict()
    features = {key: value for key, value in state.items() if not key.startswith(("classifier.", "fc."))}
    imported = load(features)
    assert (imported.backbone.name, imported.backbone.classes) == (name, None)
    assert imported.layout == f"torchvision {name}"
    with pytest.raises(CheckpointError, match="hold no classifier"):
        build_classifier(imported.backbone)


def test_a_saved_backbone_builds_what_the_file_builds(tmp_path):
    torch.save(network("resnet18").state_dict(), tmp_path / "resnet18.pth")
    save_imported(
        tmp_path / "b.safetensors", import_checkpoint(tmp_path / "resnet18.pth"), {"checkpoint": "resnet18"}
    )
    assert artifact.load_info(tmp_path / "b.safetensors")["config"] == {"backbone": "resnet18", "classes": 7}
    again = import_checkpoint(tmp_path / "b.safetensors")
    assert again.backbone.name == "resnet18" and again.backbone.classes == 7
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        first = build_backbone("resnet18", read_backbone_weights(tmp_path / "resnet18.pth").values)(x)
        second = build_backbone("resnet18", read_backbone_weights(tmp_path / "b.safetensors").values)(x)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_a_nearly_right_network_is_refused_with_what_differs(tmp_path):
    state = network("squeezenet1_1").state_dict()
    state["features.3.squeeze.weight"] = torch.zeros(1, 2)
    del state["features.0.bias"]
    torch.save(state, tmp_path / "c.pth")
    message = (
        "nearly a torchvision squeezenet1_1 checkpoint, with 2 differences; found no 'features.0.bias', "
    )
    with pytest.raises(
        CheckpointError, match=message + "'features.3.squeeze.weight' of shape 1x2 instead of 16x64x1x1"
    ):
        import_checkpoint(tmp_path / "c.pth")


def test_a_network_it_does_not_know_is_refused(tmp_path):
    torch.save(torchvision.models.squeezenet1_0(weights=None).state_dict(), tmp_path / "c.pth")
    with pytest.raises(
        CheckpointError, match=r"nearly a torchvision squeezenet1_1 checkpoint, with \d+ diff"
    ):
        import_checkpoint(tmp_path / "c.pth")


def test_a_layer_too_many_is_refused(tmp_path):
    torch.save(network("resnet18").state_dict() | {"layer5.weight": torch.zeros(3)}, tmp_path / "c.pth")
    with pytest.raises(
        CheckpointError, match=r"found 'layer5.weight', which torchvision resnet18 does not have"
    ):
        import_checkpoint(tmp_path / "c.pth")


def test_the_real_imagenet_features():
    if not REAL.is_file():
        pytest.skip(f"the real weights are not here: {REAL.name}")
    imported = import_checkpoint(REAL)
    assert imported.layout == "torchvision squeezenet1_1" and imported.backbone.classes is None

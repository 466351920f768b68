"""Files of known projects that are not supported are named for what they are, with the reason and the way out."""

import contextlib
import types

import numpy as np
import pytest
import torch
import torchvision
from sklearn.decomposition import PCA

from helpers import checkpoints
from helpers.checkpoints import in_sequence, resnet, tiny_transformers, under
from pocketvlad.compress.compressed import save_compressed
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import load_recipe
from pocketvlad.errors import CheckpointError
from pocketvlad.importer.checkpoint import import_checkpoint
from pocketvlad.importer.pickles import code_in, keys_of_code, what_is_in
from pocketvlad.importer.reading import read_checkpoint
from pocketvlad.model.backbones import build_backbone
from pocketvlad.model.network import save_model

__all__ = ["tiny_transformers"]  # a fixture
SMALL = torch.ones(2, 2)


def refusal(path) -> str:
    with pytest.raises(CheckpointError) as error:
        import_checkpoint(path)
    text = str(error.value)
    assert "\n" not in text and path.name in text and "nearly" not in text
    return text


@pytest.mark.parametrize(
    "keys, words",
    [
        (
            ["backbone.blocks.0.adapter1.D_fc1.weight", "encoder.layers.0.self_attn.in_proj_weight"],
            ["CricaVPR", "other photos of their batch", "MegaLoc"],
        ),
        (
            ["backbone.blocks.0.adapter1.D_fc1.weight", "LocalAdapt.upconv1.weight"],
            ["SelaVPR", "second stage", "MegaLoc"],
        ),
        (["backbone.blocks.0.adapter1.D_fc1.weight"], ["SelaVPR or CricaVPR", "adapters"]),
        (["conv1.weight", "adpool.p", "fc.weight"], ["AP-GeM", "without the PCA", "does not hold"]),
        (
            ["backbone.blocks.0.attn.qkv.weight", "aggregation.conv.weight", "aggregation.conv.bias"],
            ["SuperVLAD", "without centres"],
        ),
        (
            ["backbone.model.blocks.0.attn.qkv.weight", "aggregator.queries", "aggregator.fc.weight"],
            ["QAA", "queries"],
        ),
        (["backbone.tokenizer.conv.weight", "aggregation.centroids"], ["CCT", "tokens"]),
    ],
)
def test_a_known_project_is_named(tmp_path, keys, words):
    torch.save({"model_state_dict": dict.fromkeys(keys, SMALL)}, tmp_path / "c.pth")
    text = refusal(tmp_path / "c.pth")
    assert all(word in text for word in ["not supported", *words]), text


@pytest.mark.parametrize(
    "keys",
    [
        [
            "backbone.conv1.weight",
            "backbone.layer1.0.conv1.weight",
            "classifier.4.weight",
        ],  # torchvision's DeepLab
        ["backbone.body.conv1.weight", "rpn.head.cls_logits.weight"],  # its Faster R-CNN
        ["encoder.conv1.weight", "decoder.blocks.0.conv1.0.weight"],  # a U-Net
        ["encoder.layer.0.attention.self.query.weight", "pooler.dense.weight"],  # BERT
        ["encoder.layers.0.self_attn.in_proj_weight"],  # torch's transformer
        ["conv_stem.weight", "blocks.0.0.conv_dw.weight", "classifier.weight"],  # timm's EfficientNet
        ["backbone.cls_token", "backbone.blocks.0.attn.qkv.weight", "Reranker.cls"],  # R2Former
        ["patch_embed.proj.weight", "layers.0.blocks.0.attn.qkv.weight"],  # Swin
        ["features.0.0.weight", "features.1.0.layer_scale", "classifier.2.weight"],  # ConvNeXt
        ["features.conv0.weight", "features.denseblock1.denselayer1.conv1.weight"],  # DenseNet
        ["pool.0.weight", "head.weight"],
        ["visual.conv1.weight", "transformer.resblocks.0.attn.in_proj_weight"],  # CLIP
    ],
    ids=lambda keys: keys[-1],
)
def test_what_shares_a_prefix_with_a_layout_is_not_called_nearly_that(tmp_path, keys):
    torch.save(dict.fromkeys(keys, SMALL), tmp_path / "c.pth")
    assert "is of no known layout; found keys such as" in refusal(tmp_path / "c.pth")


def another_head(prefix, key, **more):
    return under(prefix, checkpoints.transformer()) | {key: SMALL, **more}


@pytest.mark.parametrize(
    ("prefix", "key"),
    [
        ("backbone.", "aggregation.1.p"),
        ("backbone.", "aggregation.centroids"),
        ("backbone.model.", "aggregator.attn.in_proj_weight"),
    ],
)
@pytest.mark.parametrize("norm", [True, False])
def test_dinov2_with_another_head_is_called_so(tiny_transformers, tmp_path, prefix, key, norm):
    tensors = another_head(prefix, key)
    if not norm:
        tensors = {name: value for name, value in tensors.items() if not name.startswith(f"{prefix}norm.")}
    torch.save(tensors, tmp_path / "c.pth")
    text = refusal(tmp_path / "c.pth")
    assert f"is DINOv2 with a head that is not supported; found keys such as {key}; allowed: SALAD" in text
    assert f"under {prefix!r} alone" in text and "`pocketvlad fit` with backbone dinov2_tiny14 and" in text
    alone = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    build_backbone("dinov2_tiny14", alone, last_activation=False, size=(126, 126))


def test_a_benchmark_file_without_a_head_is_called_so(tmp_path):
    torch.save(under("backbone.", in_sequence(resnet())), tmp_path / "c.pth")
    text = refusal(tmp_path / "c.pth")
    assert "holds no head" in text and "mac" in text and "allowed: NetVLAD, GeM" in text


def test_an_efficientnet_of_cosplace_is_called_so(tmp_path):
    tensors = {"backbone.0.0.0.weight": torch.ones(32, 3, 3, 3), **checkpoints.gem_head(4, 1280)}
    torch.save(tensors, tmp_path / "c.pth")
    assert "not supported; found an EfficientNet; allowed: VGG16 or a ResNet" in refusal(tmp_path / "c.pth")


@pytest.mark.parametrize("name", ["resnext50_32x4d", "wide_resnet50_2"])
def test_wide_and_grouped_resnets_are_called_so(tmp_path, name):
    with torch.device("meta"):
        state = getattr(torchvision.models, name)(weights=None).state_dict()
    parts = ("conv1", "layer1", "layer3")
    kept = {key: torch.zeros(value.shape) for key, value in state.items() if key.startswith(parts)}
    torch.save(under("backbone.model.", kept) | checkpoints.mixvpr_head(1024), tmp_path / "c.pth")
    assert "a wide or grouped ResNet, whose first block has 128 filters" in refusal(tmp_path / "c.pth")


def test_another_layout_than_the_named_one_is_called_by_its_name(tmp_path):
    torch.save(under("backbone.", in_sequence(resnet())) | checkpoints.gem_head(4, 256), tmp_path / "c.pth")
    torch.save({"a": SMALL}, tmp_path / "d.pth")
    with pytest.raises(
        CheckpointError, match=r"not of layout salad, it looks like cosplace; .*leave the layout out"
    ):
        import_checkpoint(tmp_path / "c.pth", "salad")
    with pytest.raises(CheckpointError, match="not of layout salad; found keys such as a$"):
        import_checkpoint(tmp_path / "d.pth", "salad")


def test_a_layout_that_nearly_reads_a_file_gives_way_to_the_one_that_does(tmp_path):
    tensors = under("backbone.", in_sequence(resnet())) | checkpoints.gem_head(4, 256)
    torch.save(tensors, tmp_path / "c.pth")
    said = r"no checkpoint of layout dvgl, it is one of cosplace; leave the layout out"
    with pytest.raises(CheckpointError, match=said):
        import_checkpoint(tmp_path / "c.pth", "dvgl")
    torch.save({**tensors, "aggregation.5.p": SMALL}, tmp_path / "d.pth")
    with pytest.raises(CheckpointError, match="nearly a deep-visual"):
        import_checkpoint(tmp_path / "d.pth", "dvgl")


def test_a_named_layout_says_what_is_missing(tmp_path):
    torch.save({"encoder.layers.0.weight": SMALL}, tmp_path / "c.pth")
    with pytest.raises(
        CheckpointError, match=r"is not a Nanne/pytorch-NetVlad .*found no 'encoder.0.weight'"
    ):
        import_checkpoint(tmp_path / "c.pth", "nanne")


def test_a_pickled_pca_is_named(tmp_path):
    pca = PCA(2).fit(np.random.default_rng(0).standard_normal((8, 3)))
    torch.save({"state_dict": {"adpool.p": SMALL}, "pca": {"Landmarks_clean": pca}}, tmp_path / "c.pt")
    text = refusal(tmp_path / "c.pt")
    assert "AP-GeM" in text and "PCA" in text and "was not loaded" in text


def test_a_vocabulary_is_named(tmp_path):
    torch.save(torch.ones(32, 1536), tmp_path / "c_centers.pt")
    text = refusal(tmp_path / "c_centers.pt")
    assert "AnyLoc" in text and "32x1536" in text and "dinov2_vits14" in text


def test_our_own_files_are_named_for_what_they_are(tmp_path):
    tensors = under("backbone.", in_sequence(resnet())) | checkpoints.gem_head(4, 256)
    torch.save(tensors, tmp_path / "c.pth")
    model = import_checkpoint(tmp_path / "c.pth", size=(64, 64)).model
    save_model(tmp_path / "model.safetensors", model, {})
    compressed = compress_network(model, load_recipe("compact-7x"), calibration=torch.randn(1, 3, 64, 64))
    save_compressed(tmp_path / "small.safetensors", compressed, {})
    for name, kind in (("model", "model"), ("small", "compressed")):
        text = refusal(tmp_path / f"{name}.safetensors")
        assert f"is a pocketvlad {kind} file already; use it as it is" in text


class _Code:
    def __reduce__(self):
        return print, ("this must never be printed",)


def keys_in(path) -> list:
    return keys_of_code(what_is_in(path))


@pytest.mark.parametrize("zipped", [True, False])
def test_where_code_is_found_without_running_it(tmp_path, zipped, capsys):
    content = {"a": {"b": [1, SMALL]}, "scores": np.arange(3.0), "c": [{"d": (1, _Code())}], "e": SMALL}
    torch.save(content, tmp_path / "c", _use_new_zipfile_serialization=zipped)
    assert keys_in(tmp_path / "c") == ["c"]
    layer = {"a": SMALL, "hyper_parameters": {"head": torch.nn.Linear(2, 2)}, "args": types.SimpleNamespace()}
    torch.save(layer, tmp_path / "g", _use_new_zipfile_serialization=zipped)
    assert keys_in(tmp_path / "g") == ["hyper_parameters", "args"]
    torch.save({"a": SMALL}, tmp_path / "d", _use_new_zipfile_serialization=zipped)
    assert keys_in(tmp_path / "d") == []
    torch.save(_Code(), tmp_path / "e", _use_new_zipfile_serialization=zipped)
    assert keys_in(tmp_path / "e") == []
    (tmp_path / "f").write_bytes((tmp_path / "c").read_bytes()[:150])
    assert keys_in(tmp_path / "f") == []
    found = [code_in(tmp_path / name) for name in "cdefg"]  # torch's own modules are left to torch
    assert found == ["__builtin__.print", None, "__builtin__.print", None, "types.SimpleNamespace"]
    assert not capsys.readouterr().out


WEIGHTS = {"a.weight": torch.ones(2)}
OPTIONS = types.SimpleNamespace(lr=1e-3)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        {"args": OPTIONS, "model_state_dict": WEIGHTS},
        {"epoch": 3, "hyper_parameters": {"optimizer": OPTIONS}, "state_dict": WEIGHTS},
        {"args": OPTIONS, "options": OPTIONS, "model": WEIGHTS},
        {"args": OPTIONS, 3: OPTIONS, **WEIGHTS},
        {"state_dict": {**WEIGHTS, "options": OPTIONS}},
    ],
    ids=["model_state_dict", "lightning", "two keys", "bare", "inside"],
)
def test_the_way_out_of_a_file_with_code_leads_out(tmp_path, zipped, content):
    torch.save(content, tmp_path / "c.pth", _use_new_zipfile_serialization=zipped)
    lines = refusal(tmp_path / "c.pth").partition("where you trust the file: ")[2]
    follow(lines, tmp_path / "c.pth")
    assert read_checkpoint(tmp_path / "weights.pth").keys() == WEIGHTS.keys()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("container", [None, "model"])
def test_a_model_as_a_whole_is_saved_as_its_weights(tmp_path, zipped, container):
    module = torch.nn.Sequential(torch.nn.Linear(2, 2))
    content = module if container is None else {container: module, "epoch": 3}
    torch.save(content, tmp_path / "c.pth", _use_new_zipfile_serialization=zipped)
    text = refusal(tmp_path / "c.pth")
    assert "have the code of its model at hand" in text
    follow(text.partition("at hand: ")[2], tmp_path / "c.pth")
    assert read_checkpoint(tmp_path / "weights.pth").keys() == {"0.weight", "0.bias"}


def test_a_function_in_a_file_is_no_model_and_gets_no_way_out(tmp_path):
    torch.save(_Code(), tmp_path / "c.pth")
    assert refusal(tmp_path / "c.pth").endswith("allowed: tensors, numbers and containers")


def follow(lines, path):
    """Do what an error advises, in the file's folder."""
    with contextlib.chdir(path.parent):
        exec(lines, {"torch": torch, "file": str(path)})

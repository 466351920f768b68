"""Files as people have them: containers, prefixes, number types and formats, all found by themselves."""

import collections
import functools
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

import plain
from helpers import checkpoints, plain_heads
from helpers.checkpoints import HEADS, in_sequence, resnet, tiny_transformers, under
from pocketvlad.errors import CheckpointError
from pocketvlad.importer.checkpoint import import_checkpoint

__all__ = ["tiny_transformers"]  # a fixture

SIZE = (126, 126)


def photo(size=(64, 64)):
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))


def rounded(tensors, dtype):
    """What the file keeps of the numbers, and what is read of them."""
    kept = {key: value.to(dtype) if value.is_floating_point() else value for key, value in tensors.items()}
    return kept, {key: value.float() if value.is_floating_point() else value for key, value in kept.items()}


@functools.cache
def cut_resnet():
    return resnet()


def with_values(backbone, tensors, prefix):
    """The torchvision modules with a file's values."""
    own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    names = dict(zip(in_sequence(backbone), backbone.state_dict(), strict=True))
    backbone = resnet()
    backbone.load_state_dict({names.get(key, key): value for key, value in own.items()})
    return backbone


def cosplace():
    return under("backbone.", in_sequence(cut_resnet())) | checkpoints.gem_head(8, 256)


def cosplace_of(tensors):
    features = with_values(cut_resnet(), tensors, "backbone.")(photo())
    return photo(), plain_heads.cosplace(features, tensors)


def benchmark():
    return under("backbone.", in_sequence(cut_resnet())) | checkpoints.netvlad_head(3, 256)


def benchmark_of(tensors):
    features = with_values(cut_resnet(), tensors, "backbone.")(photo())
    values = (tensors["aggregation.conv.weight"], None, tensors["aggregation.centroids"])
    return photo(), plain.netvlad_by_clusters(features, *values)


def mixvpr():
    return under("backbone.model.", cut_resnet().state_dict()) | checkpoints.mixvpr_head(256, depth=1)


def mixvpr_of(tensors):
    features = with_values(cut_resnet(), tensors, "backbone.model.")(photo((320, 320)))
    return photo((320, 320)), plain_heads.mixvpr(features, tensors, 1)


def boq():
    return under("backbone.net.", in_sequence(cut_resnet())) | checkpoints.boq_head(256, width=64)


def boq_of(tensors):
    features = with_values(cut_resnet(), tensors, "backbone.net.")(photo())
    return photo(), plain_heads.boq(features, tensors)


def vit_of(tensors, prefix):
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def salad():
    return under("backbone.model.", checkpoints.transformer()) | checkpoints.salad_head()


def salad_of(tensors):
    found = plain_heads.transformer(photo(SIZE), vit_of(tensors, "backbone.model."), HEADS)
    return photo(SIZE), plain_heads.salad(*found, tensors)


def megaloc():
    return under("backbone.", checkpoints.transformer()) | checkpoints.megaloc_head()


def megaloc_of(tensors):
    found = plain_heads.transformer(photo(SIZE), vit_of(tensors, "backbone."), HEADS)
    return photo(SIZE), plain_heads.megaloc(*found, tensors)


PROJECTS = {
    "cosplace": (cosplace, cosplace_of),
    "dvgl": (benchmark, benchmark_of),
    "mixvpr": (mixvpr, mixvpr_of),
    "boq": (boq, boq_of),
    "salad": (salad, salad_of),
    "megaloc": (megaloc, megaloc_of),
}
TRAINING = {
    "epoch": 3,
    "best_r5": np.float64(91.2),
    "recalls": np.array([80.0, 90.0]),
    "lr": np.float32(1e-4),
}
LIGHTNING = {
    "pytorch-lightning_version": "2.1.0",
    "global_step": 10,
    "hyper_parameters": {"backbone_arch": "resnet50", "lr": 0.05},
    "loops": collections.OrderedDict(fit_loop={"state_dict": {}}),
}


def bare(tensors):
    return tensors


def in_container(name, **beside):
    return lambda tensors: {**beside, name: tensors}


def nested(*names):
    def wrap(tensors):
        for name in reversed(names):
            tensors = {name: tensors}
        return tensors

    return wrap


def renamed(rename):
    return lambda tensors: {rename(key): value for key, value in tensors.items()}


def on_some(key):
    """DataParallel around the backbone alone."""
    return key.replace("backbone.", "backbone.module.", 1)


def teacher_and_student(tensors):
    student = {key: torch.zeros_like(value) for key, value in tensors.items()}
    return {"student": student, "teacher": tensors, "optimizer": {"lr": 1e-4}}


# project, what is around its tensors, their type, the file's format
FILES = {
    "bare": ("cosplace", bare, torch.float32, "zip"),
    "legacy": ("cosplace", bare, torch.float32, "legacy"),
    "safetensors": ("megaloc", bare, torch.float32, "safetensors"),
    "state_dict": ("dvgl", in_container("state_dict", **TRAINING), torch.float32, "zip"),
    "model_state_dict": ("dvgl", in_container("model_state_dict", **TRAINING), torch.float32, "legacy"),
    "model": ("boq", in_container("model", epoch=1), torch.float32, "zip"),
    "net": ("cosplace", in_container("net", acc=0.5), torch.float32, "zip"),
    "options-named-as-a-container": (
        "cosplace",
        lambda t: {**t, "model": {"arch": "r18"}},
        torch.float32,
        "zip",
    ),
    "network": ("cosplace", in_container("network"), torch.float32, "zip"),
    "teacher": ("salad", teacher_and_student, torch.float32, "zip"),
    "lightning": ("mixvpr", in_container("state_dict", **LIGHTNING), torch.float32, "zip"),
    "nested": ("boq", nested("model", "state_dict"), torch.float32, "zip"),
    "module-on-all": ("dvgl", renamed("module.{}".format), torch.float32, "zip"),
    "module-on-some": ("salad", renamed(on_some), torch.float32, "zip"),
    "compiled": ("mixvpr", renamed("_orig_mod.{}".format), torch.float32, "zip"),
    "compiled-parallel": ("megaloc", renamed("module._orig_mod.{}".format), torch.float32, "zip"),
    "model-on-all": ("boq", renamed("model.{}".format), torch.float32, "zip"),
    "float16": ("dvgl", bare, torch.float16, "zip"),
    "bfloat16": ("megaloc", bare, torch.bfloat16, "safetensors"),
    "float64": ("cosplace", bare, torch.float64, "zip"),
    "float16-in-a-container": ("salad", in_container("state_dict", **TRAINING), torch.float16, "zip"),
    "chunks-of-blocks": ("salad", checkpoints.chunked, torch.float32, "zip"),
    "ordered": ("mixvpr", collections.OrderedDict, torch.float32, "zip"),
}


@torch.no_grad()
@pytest.mark.parametrize("name", FILES)
def test_a_file_is_recognised_and_describes_as_its_source(tiny_transformers, tmp_path, name):
    project, wrap, dtype, kind = FILES[name]
    make, forward = PROJECTS[project]
    kept, read = rounded(make(), dtype)
    path = tmp_path / "checkpoint"
    if kind == "safetensors":
        save_file({key: value.contiguous() for key, value in wrap(kept).items()}, path)
    else:
        torch.save(wrap(kept), path, _use_new_zipfile_serialization=kind == "zip")
    size = SIZE if project in ("salad", "megaloc") else None
    x, wanted = forward(read)
    found = import_checkpoint(path, size=size).model(x)
    assert float(functional.cosine_similarity(found, wanted)) > 0.99999


def changed(key, value=None):
    """The tensors with another value, or without one."""

    def change(tensors):
        found = {each: tensor for each, tensor in tensors.items() if each != key}
        return found if value is None else {**found, key: value}

    return change


NEARLY = [
    ("cosplace", changed("aggregation.1.p"), "found no 'aggregation.1.p'"),
    ("cosplace", changed("aggregation.3.weight", torch.zeros(8, 99)), "shape 8x99 instead of 8x256"),
    ("cosplace", changed("aggregation.1.p", torch.tensor([0.0])), "power of the mean .* found 0.0"),
    ("cosplace", changed("backbone.6.1.bn2.bias"), "found no 'backbone.6.1.bn2.bias'"),
    ("cosplace", changed("backbone.6.2.bn2.bias", torch.ones(2)), "a ResNet of 3 blocks in its third stage"),
    ("cosplace", changed("backbone.0.weight", torch.zeros(32, 3, 3, 3)), "32 filters 3x3; .* or a ResNet"),
    ("dvgl", changed("aggregation.centroids", torch.zeros(7, 256)), "shape 3x256x1x1 instead of 7x256x1x1"),
    ("dvgl", changed("attention.weight", torch.ones(1)), "'attention.weight', which deep-visual"),
    ("mixvpr", changed("aggregator.mix.0.mix.0.bias"), "found no 'aggregator.mix.0.mix.0.bias'"),
    ("mixvpr", changed("aggregator.mix.1.mix.3.bias", torch.ones(400)), "with 5 differences; found no"),
    ("mixvpr", changed("backbone.model.conv1.weight"), "found no 'backbone.model.conv1.weight'"),
    ("boq", changed("aggregator.boqs.1.norm_q.weight"), "found no 'aggregator.boqs.1.norm_q.weight'"),
    ("boq", changed("aggregator.boqs.0.self_attn.out_proj.weight"), "no 'aggregator.boqs.0.self_attn"),
    ("boq", changed("backbone.net.7.0.conv1.weight", torch.ones(1)), "differences"),
    ("salad", changed("aggregator.dust_bin"), "found no 'aggregator.dust_bin'"),
    ("salad", changed("backbone.model.blocks.1.ls2.gamma"), "found no 'backbone.model.blocks.1.ls2.gamma'"),
    ("salad", changed("backbone.model.norm.weight"), "found no 'backbone.model.norm.weight'"),
    ("salad", changed("backbone.model.pos_embed", torch.zeros(1, 8, 32)), "is no square; found 7 places"),
    ("salad", changed("backbone.model.cls_token"), "found no 'backbone.model.cls_token'"),
    ("megaloc", changed("aggregator.linear.weight", torch.zeros(11, 5)), "shape 11x5 instead of 11x37"),
    ("megaloc", changed("aggregator.linear.bias", torch.zeros(11) / 0), "numbers that are not finite"),
]


@pytest.mark.parametrize("project, change, message", NEARLY)
def test_a_file_that_is_nearly_right_is_refused_with_what_differs(
    tiny_transformers, tmp_path, project, change, message
):
    torch.save(change(PROJECTS[project][0]()), tmp_path / "c.pth")
    size = SIZE if project in ("salad", "megaloc") else None
    with pytest.raises(CheckpointError, match=message) as error:
        import_checkpoint(tmp_path / "c.pth", size=size)
    assert "c.pth" in str(error.value) and "\n" not in str(error.value)


def test_a_key_with_and_without_its_wrapper_is_refused(tmp_path):
    tensors = cosplace()
    tensors["backbone.module.0.weight"] = tensors["backbone.0.weight"] + 1
    torch.save(tensors, tmp_path / "c.pth")
    with pytest.raises(
        CheckpointError, match=r"has 'backbone.0.weight' twice; found 'backbone.module.0.weight'"
    ):
        import_checkpoint(tmp_path / "c.pth")


def test_a_number_too_large_for_float32_is_refused(tmp_path):
    tensors = cosplace()
    tensors["aggregation.3.bias"] = tensors["aggregation.3.bias"].double() * 1e300
    torch.save(tensors, tmp_path / "c.pth")
    with pytest.raises(CheckpointError, match=r"'aggregation.3.bias' .* not finite"):
        import_checkpoint(tmp_path / "c.pth")


@pytest.mark.parametrize("zipped", [True, False])
def test_hyper_parameters_that_carry_code_are_refused_by_their_key(tmp_path, zipped):
    content = {
        "epoch": 3,
        "hyper_parameters": {"optimizer": types.SimpleNamespace(lr=1e-3), "dim": 4},
        "state_dict": cosplace(),
    }
    torch.save(content, tmp_path / "c.ckpt", _use_new_zipfile_serialization=zipped)
    message = r"would run code .* found types.SimpleNamespace under 'hyper_parameters'; .*if k != 'hyper_parameters'"
    with pytest.raises(CheckpointError, match=message) as error:
        import_checkpoint(tmp_path / "c.ckpt")
    assert "\n" not in str(error.value)

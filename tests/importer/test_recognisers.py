"""Every recogniser's importer: a file of random weights describes as a second, plain forward pass does."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.nn import functional

import plain
from helpers import checkpoints, plain_heads
from helpers.checkpoints import HEADS, in_sequence, resnet, tiny_transformers, under
from pocketvlad.errors import CheckpointError, RecipeError
from pocketvlad.importer import boq, convap, cosplace, dinov2, dvgl, megaloc, mixvpr, salad
from pocketvlad.importer.checkpoint import LAYOUTS
from pocketvlad.model.backbones import build_backbone

__all__ = ["tiny_transformers"]  # a fixture

SIZE = (126, 140)


def photos(size=SIZE, count=2, seed=0):
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def same(found, wanted):
    """Descriptors of unit length in the same directions."""
    assert found.shape == wanted.shape
    assert float(functional.cosine_similarity(found, wanted).min()) > 0.99999
    torch.testing.assert_close(found.norm(dim=1), torch.ones(len(found)), atol=1e-4, rtol=0)


def layout_of(tensors):
    return next(name for name, module in LAYOUTS.items() if module.matches(tensors))


@torch.no_grad()
@pytest.mark.parametrize("name, stages", [("resnet18", 4), ("resnet18", 3), ("resnet50", 3)])
def test_cosplace_on_resnets(name, stages):
    """Cut after layer3 it is no published file, but the layout allows it."""
    backbone = resnet(name, stages)
    x = photos((64, 96))
    features = backbone(x)
    tensors = under("backbone.", in_sequence(backbone)) | checkpoints.gem_head(12, features.shape[1])
    assert layout_of(tensors) == "cosplace"
    imported = cosplace.load(tensors)
    assert imported.model.config.last_activation and imported.model.config.head == "gem"
    assert imported.model.config.backbone == (name if stages == 4 else f"{name}_layer3")
    assert imported.model.config.options.power == pytest.approx(2.6)
    same(imported.model(x), plain_heads.cosplace(features, tensors))


@torch.no_grad()
def test_cosplace_on_vgg16_which_ends_in_its_last_convolution():
    convolutions, x = plain.convolutions("vgg16"), photos((64, 64))
    tensors = under("backbone.", convolutions.state_dict()) | checkpoints.gem_head(12, 512)
    imported = cosplace.load(tensors)
    assert not imported.model.config.last_activation
    same(imported.model(x), plain_heads.cosplace(convolutions(x), tensors))


@torch.no_grad()
@pytest.mark.parametrize("stages", [3, 4], ids=["conv4", "conv5"])
@pytest.mark.parametrize("dim", [None, 9], ids=["netvlad", "fc_output_dim"])
def test_the_benchmarks_netvlad_on_a_resnet(stages, dim):
    backbone, x = resnet("resnet18", stages), photos((64, 96), count=1)
    features = backbone(x)
    channels, inner = features.shape[1], "aggregation.0." if dim else "aggregation."
    head = checkpoints.netvlad_head(5, channels, inner)
    tensors = under("backbone.", in_sequence(backbone)) | head
    wanted = plain.netvlad_by_clusters(features, head[f"{inner}conv.weight"], None, head[f"{inner}centroids"])
    if dim:
        tensors |= checkpoints.linear("aggregation.1", dim, 5 * channels)
        wanted = functional.normalize(plain_heads.layer(wanted, tensors, "aggregation.1"), dim=1)
    assert layout_of(tensors) == "dvgl"
    imported = dvgl.load(tensors)
    assert imported.model.outputs == (dim or 5 * channels) and imported.model.config.last_activation
    same(imported.model(x), wanted)


@torch.no_grad()
@pytest.mark.parametrize("normalize", [True, False], ids=["before_pool", "after_pool"])
def test_the_benchmarks_gem(normalize):
    backbone, x = resnet(), photos((64, 96))
    power = "aggregation.1.p" if normalize else "aggregation.0.p"
    tensors = under("backbone.", in_sequence(backbone)) | {power: torch.tensor([3.3])}
    imported = dvgl.load(tensors)
    assert imported.notes == (dvgl.UNIT_LENGTH if normalize else dvgl.NO_L2,)
    same(
        imported.model(x), functional.normalize(plain_heads.gem(backbone(x), 3.3, normalize=normalize), dim=1)
    )


@torch.no_grad()
def test_the_benchmarks_gem_with_a_layer():
    backbone, x = resnet(), photos((64, 96))
    tensors = under("backbone.", in_sequence(backbone)) | {"aggregation.0.1.p": torch.tensor([3.3])}
    tensors |= checkpoints.linear("aggregation.1", 10, 256)
    wanted = plain_heads.layer(plain_heads.gem(backbone(x), 3.3), tensors, "aggregation.1")
    imported = dvgl.load(tensors)
    same(imported.model(x), functional.normalize(wanted, dim=1))
    assert not imported.notes  # as there, of unit length


def test_the_benchmarks_gem_that_does_not_say_where_it_normalises_is_refused():
    tensors = under("backbone.", in_sequence(resnet())) | {"aggregation.0.0.p": torch.tensor([3.0])}
    tensors |= checkpoints.linear("aggregation.1", 10, 256)
    with pytest.raises(CheckpointError, match=r"between its GeM and its layer; found 'aggregation.0.0.p'"):
        dvgl.load(tensors)


@pytest.mark.parametrize("key, name", [("crn.acc_w.weight", "CRN"), ("ln1.weight", "RRM")])
def test_the_benchmarks_other_heads_are_refused_by_name(key, name):
    tensors = under("backbone.", in_sequence(resnet())) | {f"aggregation.{key}": torch.ones(3)}
    with pytest.raises(CheckpointError, match=rf"not supported; found {name}.*; allowed: NetVLAD, GeM"):
        dvgl.load(tensors)


@torch.no_grad()
def test_mixvpr():
    backbone, x = resnet(), photos((320, 320))
    tensors = under("backbone.model.", backbone.state_dict()) | checkpoints.mixvpr_head(256)
    assert layout_of(tensors) == "mixvpr"
    imported = mixvpr.load(tensors)
    assert imported.model.config.size == (320, 320) and imported.model.outputs == 24 * 3
    same(imported.model(x), plain_heads.mixvpr(backbone(x), tensors, 2))


@torch.no_grad()
def test_mixvpr_on_a_transformer_without_its_norm(tiny_transformers):
    """DINO-Mix: 16x16 patches of 224x224."""
    vit, x = checkpoints.transformer(), photos((224, 224))
    kept = {key: value for key, value in vit.items() if not key.startswith("norm.")}
    tensors = under("backbone.dino_model.", kept) | checkpoints.mixvpr_head(32, locations=256)
    imported = mixvpr.load(tensors)
    assert imported.model.config.size == (224, 224)
    _, features = plain_heads.transformer(x, vit, HEADS, last_norm=False)
    same(imported.model(x), plain_heads.mixvpr(features, tensors, 2))


@torch.no_grad()
def test_convap():
    backbone, x = resnet("resnet18", 4), photos((320, 320))
    tensors = under("backbone.model.", backbone.state_dict())
    tensors |= checkpoints.linear("aggregator.channel_pool", 20, 512, 1, 1)
    assert layout_of(tensors) == "convap"
    imported = convap.load(tensors)
    assert imported.model.outputs == 80 and "2x2" in imported.notes[0]
    same(imported.model(x), plain_heads.convap(backbone(x), tensors))


@torch.no_grad()
@pytest.mark.parametrize("registers", [0, 4])
@pytest.mark.parametrize("chunks", [False, True], ids=["blocks", "chunks"])
def test_salad(tiny_transformers, registers, chunks):
    vit, x = checkpoints.transformer(registers), photos()
    tensors = under("backbone.model.", vit) | checkpoints.salad_head()
    wanted = [plain_heads.salad(*plain_heads.transformer(photo[None], vit, HEADS), tensors) for photo in x]
    assert layout_of(tensors) == "salad"
    imported = salad.load(checkpoints.chunked(tensors) if chunks else tensors, SIZE)
    assert imported.model.outputs == 7 + 5 * 6
    same(imported.model(x), torch.cat(wanted))


@torch.no_grad()
def test_megaloc(tiny_transformers):
    vit, x = checkpoints.transformer(), photos()
    del vit["mask_token"]
    tensors = under("backbone.", vit) | checkpoints.megaloc_head()
    wanted = [plain_heads.megaloc(*plain_heads.transformer(photo[None], vit, HEADS), tensors) for photo in x]
    assert layout_of(tensors) == "megaloc"
    imported = megaloc.load(tensors, SIZE)
    assert imported.model.outputs == 11 and imported.model.roles()["head.linear"] == "projection"
    same(imported.model(x), torch.cat(wanted))


@torch.no_grad()
def test_boq_on_a_resnet():
    backbone, x = resnet(), photos((64, 96), count=1)
    tensors = under("backbone.net.", in_sequence(backbone)) | checkpoints.boq_head(256)
    assert layout_of(tensors) == "boq"
    imported = boq.load(tensors)
    assert imported.model.config.size == (384, 384) and imported.model.outputs == 128 * 3
    same(imported.model(x), plain_heads.boq(backbone(x), tensors))


@torch.no_grad()
def test_boq_on_a_transformer_whose_norm_is_in_the_file_and_not_used(tiny_transformers):
    vit, x = checkpoints.transformer(), photos(count=1)
    tensors = under("backbone.dino.", vit) | checkpoints.boq_head(32)
    _, features = plain_heads.transformer(x, vit, HEADS, last_norm=False)
    same(boq.load(tensors, SIZE).model(x), plain_heads.boq(features, tensors))


def test_boq_as_another_project_writes_it_is_refused():
    tensors = {"backbone.frozen_layers.0.weight": torch.ones(1), **checkpoints.boq_head(256)}
    with pytest.raises(CheckpointError, match=r"VPR-methods-evaluation's copy .* publishes"):
        boq.load(tensors)


@torch.no_grad()
@pytest.mark.parametrize("dump", [False, True], ids=["bare", "training-dump"])
def test_a_transformer_alone_is_a_backbone(tiny_transformers, dump):
    vit, x = checkpoints.transformer(), photos()
    tensors = under("backbone.", checkpoints.chunked(vit)) | {"dino_head.mlp.0.weight": torch.ones(2)}
    imported = dinov2.load(tensors if dump else vit)
    assert imported.model is None and imported.backbone.name == "dinov2_tiny14"
    for last_norm in (False, True):
        built = build_backbone(
            "dinov2_tiny14", imported.backbone.weights, last_activation=last_norm, size=SIZE
        )
        wanted = plain_heads.transformer(x, vit, HEADS, last_norm=last_norm)[1]
        torch.testing.assert_close(built(x), wanted, atol=1e-4, rtol=1e-4)


@dataclass
class Impossible:
    load: Any
    size: tuple[int, int]
    message: str


@pytest.mark.parametrize(
    "case",
    [
        Impossible(
            salad.load, (120, 126), r"14x14 patches; found 120x126; .*multiples of 14, such as 126x126"
        ),
        Impossible(salad.load, (28, 42), r"more patches than its 6 clusters; found 6 of 28x42; .*at least 7"),
        Impossible(salad.load, (28, 28), r"found 4 of 28x28; .*such as 42x42"),
    ],
    ids=["no-whole-patches", "as-many-patches-as-clusters", "fewer-patches"],
)
def test_sizes_that_salad_cannot_take_are_refused_with_one_that_it_can(tiny_transformers, case):
    tensors = under("backbone.model.", checkpoints.transformer()) | checkpoints.salad_head()
    with pytest.raises(RecipeError, match=case.message):
        case.load(tensors, case.size)


def test_a_transformer_of_another_size_is_named(tiny_transformers):
    vit = checkpoints.transformer(width=48)
    with pytest.raises(
        CheckpointError, match=r"is unknown; found 2 blocks of width 48; allowed: .*12 of 768"
    ):
        dinov2.load(vit)


def test_a_giant_transformer_is_named(tiny_transformers):
    vit = checkpoints.transformer(width=48) | {"blocks.0.mlp.w12.weight": torch.ones(1)}
    with pytest.raises(CheckpointError, match=r"gated layers \(ViT-g\)"):
        dinov2.load(vit)

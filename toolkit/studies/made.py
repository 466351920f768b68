"""Checkpoints of random weights in the layouts of public projects, of any size: key names and shapes alone are theirs.

Layers are drawn so that what they read comes out about as large; the affine of norms and the layer scale are not 1, so
that a mistake with them shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torchvision
from torch import Tensor, nn

WIDTH, DEPTH = 32, 2  # of the transformer small enough for tests
_STAGES = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
_PLACES = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}


def resnet(
    name: str = "resnet18", stages: int = 3, seed: int = 0, photos: Sequence[Tensor] = ()
) -> nn.Sequential:
    """torchvision's own modules up to layer ``stages``, in eval mode.

    The batch norms have statistics of ``photos``, batches float32 [B, 3, H, W], else of noise.
    """
    torch.manual_seed(seed)
    whole = getattr(torchvision.models, name)(weights=None)
    layers = nn.Sequential()
    for stage in _STAGES[: 4 + stages]:
        layers.add_module(stage, getattr(whole, stage))
    for norm in layers.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.1)
            norm.momentum = None
    with torch.no_grad():
        layers.train()
        for batch in photos or (torch.randn(2, 3, 64, 64),):
            layers(batch)
    return layers.eval()


def in_sequence(backbone: nn.Sequential) -> dict[str, Tensor]:
    """A ResNet's tensors by their places among the classifier's children."""
    found = {}
    for key, value in backbone.state_dict().items():
        stage, _, rest = key.partition(".")
        found[f"{_PLACES[stage]}.{rest}"] = value
    return found


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in tensors.items()}


def linear(name: str, outputs: int, inputs: int, *after: int, gain: float = 1.0) -> dict[str, Tensor]:
    """Weight and bias of a layer."""
    weight = gain * torch.randn(outputs, inputs, *after) / math.sqrt(inputs * math.prod(after))
    return {f"{name}.weight": weight, f"{name}.bias": 0.1 * torch.randn(outputs)}


def norm(name: str, width: int) -> dict[str, Tensor]:
    """Of a layer norm whose affine matters."""
    return {f"{name}.weight": 1 + 0.3 * torch.randn(width), f"{name}.bias": 0.2 * torch.randn(width)}


def transformer(
    registers: int = 0, side: int = 5, seed: int = 0, width: int = WIDTH, depth: int = DEPTH
) -> dict[str, Tensor]:
    """DINOv2's keys; the position embedding is for ``side`` x ``side`` patches."""
    torch.manual_seed(seed)
    found = {"cls_token": torch.randn(1, 1, width), "pos_embed": torch.randn(1, 1 + side * side, width) / 2}
    found |= {"mask_token": torch.zeros(1, width), **linear("patch_embed.proj", width, 3, 14, 14)}
    if registers:
        found["register_tokens"] = torch.randn(1, registers, width)
    for block in range(depth):
        at = f"blocks.{block}."
        found |= norm(f"{at}norm1", width) | norm(f"{at}norm2", width)
        found |= linear(f"{at}attn.qkv", 3 * width, width, gain=2) | linear(f"{at}attn.proj", width, width)
        found |= linear(f"{at}mlp.fc1", 4 * width, width) | linear(f"{at}mlp.fc2", width, 4 * width)
        found |= {f"{at}ls{n}.gamma": 0.5 + torch.rand(width) for n in (1, 2)}
    return found | norm("norm", width)


def gem_head(dim: int, channels: int, power: float = 2.6) -> dict[str, Tensor]:
    """CosPlace's and EigenPlaces'."""
    torch.manual_seed(1)
    return {"aggregation.1.p": torch.tensor([power]), **linear("aggregation.3", dim, channels)}


def netvlad_head(clusters: int, channels: int, prefix: str = "aggregation.") -> dict[str, Tensor]:
    """The benchmark's."""
    torch.manual_seed(1)
    weight = 8 * torch.randn(clusters, channels, 1, 1)
    return {f"{prefix}conv.weight": weight, f"{prefix}centroids": torch.rand(clusters, channels) / 8}


def mixvpr_head(
    channels: int, *, locations: int = 400, outputs: int = 24, rows: int = 3, depth: int = 2
) -> dict[str, Tensor]:
    torch.manual_seed(1)
    found = linear("aggregator.channel_proj", outputs, channels) | linear(
        "aggregator.row_proj", rows, locations
    )
    for number in range(depth):
        at = f"aggregator.mix.{number}.mix"
        found |= norm(f"{at}.0", locations)
        found |= linear(f"{at}.1", locations, locations) | linear(f"{at}.3", locations, locations)
    return found


def salad_head(
    prefix: str = "aggregator.",
    *,
    channels: int = WIDTH,
    hidden: int = 24,
    clusters: int = 6,
    values: int = 5,
    token: int = 7,
) -> dict[str, Tensor]:
    torch.manual_seed(1)
    found = {f"{prefix}dust_bin": torch.tensor(0.7)}
    for name, places, outputs, after in (
        ("token_features", (0, 2), token, ()),
        ("cluster_features", (0, 3), values, (1, 1)),
        ("score", (0, 3), clusters, (1, 1)),
    ):
        found |= linear(f"{prefix}{name}.{places[0]}", hidden, channels, *after, gain=2)
        found |= linear(f"{prefix}{name}.{places[1]}", outputs, hidden, *after, gain=2)
    return found


def megaloc_head(
    dim: int = 11,
    *,
    channels: int = WIDTH,
    hidden: int = 24,
    clusters: int = 6,
    values: int = 5,
    token: int = 7,
) -> dict[str, Tensor]:
    """SALAD's with a linear layer behind it."""
    found = salad_head(
        "aggregator.agg.", channels=channels, hidden=hidden, clusters=clusters, values=values, token=token
    )
    return found | linear("aggregator.linear", dim, token + values * clusters)


def boq_head(channels: int, *, width: int = 128, queries: int = 10, rows: int = 3) -> dict[str, Tensor]:
    torch.manual_seed(1)
    found = linear("aggregator.proj_c", width, channels, 3, 3, gain=2) | norm("aggregator.norm_input", width)
    for number in (0, 1):
        at = f"aggregator.boqs.{number}."
        found[f"{at}queries"] = torch.randn(1, queries, width)
        for name in ("encoder.self_attn", "self_attn", "cross_attn"):
            packed = linear("in_proj", 3 * width, width, gain=1.5)
            found |= {f"{at}{name}.in_proj_{part}": packed[f"in_proj.{part}"] for part in ("weight", "bias")}
            found |= linear(f"{at}{name}.out_proj", width, width)
        found |= linear(f"{at}encoder.linear1", 4 * width, width) | linear(
            f"{at}encoder.linear2", width, 4 * width
        )
        for name in ("encoder.norm1", "encoder.norm2", "norm_q", "norm_out"):
            found |= norm(f"{at}{name}", width)
    return found | linear("aggregator.fc", rows, 2 * queries)

"""DINOv2's vision transformers (facebookresearch/dinov2, Apache-2.0) for one input size.

Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024; registers: Darcet et al.,
"Vision Transformers Need Registers", ICLR 2024. What depends on the input size alone, or on nothing, is in the weights
(:func:`folded`): the interpolated position embedding, layer scale, the affine of the norms before linear layers.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pocketvlad.errors import CheckpointError, RecipeError
from pocketvlad.model.attention import SelfAttention
from pocketvlad.model.preprocess import IMAGENET_MEAN, IMAGENET_STD
from pocketvlad.model.roles import ATTENTION, MLP

PATCH = 14  # pixels a side
EPSILON = 1e-6  # of the layer norms
UNUSED = ("mask_token",)  # of a checkpoint, at inference
_OFFSET = 0.1  # added to the wanted side when models without registers interpolate
_CHUNKED = re.compile(r"blocks\.(\d+)\.(\d+)\.(.+)")
Size = tuple[int, int]  # height, width in pixels


@dataclass(frozen=True)
class TransformerSpec:
    """One of DINOv2's transformers as a backbone.

    Attributes:
        channels: D.
        depth, heads: of the blocks.
        registers: tokens that only take part.
        class_token: whether the class token stands before the patches: [B, D, 1, 1 + n]; else [B, D, H / 14, W / 14].
    """

    channels: int
    depth: int
    heads: int
    registers: int = 0
    class_token: bool = False

    mean: ClassVar = IMAGENET_MEAN
    std: ClassVar = IMAGENET_STD
    stride: ClassVar = PATCH
    layers: ClassVar = None  # it is no classifier
    sized: ClassVar = True

    def empty(self, size: Size, *, last_activation: bool) -> VisionTransformer:
        """Without values (meta device), in eval mode; ``last_activation``: with the norm after the last block."""
        with torch.device("meta"):
            return VisionTransformer(self, size, last_norm=last_activation).eval()

    def check_size(self, height: int, width: int) -> None:
        """Raises RecipeError for a size that is not whole patches."""
        if height % PATCH or width % PATCH:
            near = (max(1, round(side / PATCH)) * PATCH for side in (height, width))
            raise RecipeError(
                "the input size does not fit a transformer of 14x14 patches",
                found=f"{height}x{width}",
                allowed=f"multiples of {PATCH}, such as {'x'.join(map(str, near))}",
            )


SIZES = {"vits": (384, 12, 6), "vitb": (768, 12, 12), "vitl": (1024, 24, 16)}
SPECS = {
    f"dinov2_{name}14{'_reg' if registers else ''}{'_class' if class_token else ''}": TransformerSpec(
        *shape, registers, class_token
    )
    for name, shape in SIZES.items()
    for registers in (0, 4)
    for class_token in (False, True)
}


class Block(nn.Module):
    """``x + proj(attention(norm x))``, then ``x + fc2(gelu(fc1(norm x)))``; the norms have no affine of their own."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, EPSILON, elementwise_affine=False)
        self.attn = SelfAttention(channels, heads)
        self.norm2 = nn.LayerNorm(channels, EPSILON, elementwise_affine=False)
        layers = {
            "fc1": nn.Linear(channels, 4 * channels),
            "act": nn.GELU(),
            "fc2": nn.Linear(4 * channels, channels),
        }
        self.mlp = nn.Sequential(OrderedDict(layers))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """float32 [B, 3, H, W] of one size -> [B, D, H / 14, W / 14], or [B, D, 1, 1 + n] with the class token first."""

    def __init__(self, spec: TransformerSpec, size: Size, *, last_norm: bool):
        super().__init__()
        self.map = (size[0] // PATCH, size[1] // PATCH)
        self.first = 1 + spec.registers  # of the patches among the tokens
        self.class_token = spec.class_token
        self.patch_embed = nn.Conv2d(3, spec.channels, PATCH, PATCH)
        # what is added to every token: the class token and registers themselves, the patches' positions
        self.tokens = nn.Parameter(torch.empty(1, self.first + self.map[0] * self.map[1], spec.channels))
        self.blocks = nn.Sequential(*(Block(spec.channels, spec.heads) for _ in range(spec.depth)))
        self.norm = nn.LayerNorm(spec.channels, EPSILON) if last_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed(x).flatten(2).transpose(1, 2)
        tokens = functional.pad(patches, (0, 0, self.first, 0)) + self.tokens
        tokens = self.norm(self.blocks(tokens))
        if not self.class_token:
            return tokens[:, self.first :].transpose(1, 2).unflatten(2, self.map)
        if self.first > 1:
            tokens = torch.cat([tokens[:, :1], tokens[:, self.first :]], dim=1)
        return tokens.transpose(1, 2).unsqueeze(2)

    def roles(self) -> dict[str, str]:
        """What the linear layers are for, by name."""
        names = [name for name, module in self.named_modules() if isinstance(module, nn.Linear)]
        return {name: ATTENTION if ".attn." in name else MLP for name in names}


def shapes(spec: TransformerSpec, *, last_norm: bool) -> dict[str, tuple[int | None, ...]]:
    """Of a checkpoint's tensors by key; the position embedding may have any length.

    Those of :data:`UNUSED` are left out, and the last norm where it is not wanted.
    """
    d = spec.channels
    found: dict[str, tuple[int | None, ...]] = {"cls_token": (1, 1, d), "pos_embed": (1, None, d)}
    found |= {"patch_embed.proj.weight": (d, 3, PATCH, PATCH), "patch_embed.proj.bias": (d,)}
    if spec.registers:
        found["register_tokens"] = (1, spec.registers, d)
    linear = {"attn.qkv": (3 * d, d), "attn.proj": (d, d), "mlp.fc1": (4 * d, d), "mlp.fc2": (d, 4 * d)}
    for block in range(spec.depth):
        for name, shape in linear.items():
            found |= {f"blocks.{block}.{name}.weight": shape, f"blocks.{block}.{name}.bias": shape[:1]}
        for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "ls1.gamma", "ls2.gamma"):
            found[f"blocks.{block}.{name}"] = (d,)
    return found | ({"norm.weight": (d,), "norm.bias": (d,)} if last_norm else {})


def plain_blocks(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keys of training dumps, ``blocks.CHUNK.N.…``, as ``blocks.N.…``."""
    chunked = {key: match for key in weights if (match := _CHUNKED.fullmatch(key))}
    places = sorted({(int(match[1]), int(match[2])) for match in chunked.values()})
    numbers = {place: number for number, place in enumerate(places)}
    renamed = {
        key: f"blocks.{numbers[int(match[1]), int(match[2])]}.{match[3]}" for key, match in chunked.items()
    }
    return {renamed.get(key, key): value for key, value in weights.items()}


def folded(
    spec: TransformerSpec, weights: Mapping[str, Tensor], size: Size, *, last_activation: bool
) -> VisionTransformer:
    """A transformer for one input size with a checkpoint's values, in eval mode.

    Args:
        spec: which one.
        weights: DINOv2's state dict, complete (:func:`shapes`).
        size: of the input.
        last_activation: whether the norm after the last block stays.

    Raises:
        RecipeError: the size is not whole patches.
        CheckpointError: the position embedding is no square.
    """
    spec.check_size(*size)
    w = {key: value.detach().float() for key, value in weights.items()}
    state = {"tokens": _tokens(spec, w, size)}
    state |= {f"patch_embed.{part}": w[f"patch_embed.proj.{part}"] for part in ("weight", "bias")}
    for number in range(spec.depth):
        at = f"blocks.{number}."
        for norm, layer in (("norm1", "attn.qkv"), ("norm2", "mlp.fc1")):
            state |= after_norm(w, f"{at}{norm}", f"{at}{layer}")
        for scale, layer in (("ls1", "attn.proj"), ("ls2", "mlp.fc2")):
            gamma = w[f"{at}{scale}.gamma"]
            state[f"{at}{layer}.weight"] = gamma[:, None] * w[f"{at}{layer}.weight"]
            state[f"{at}{layer}.bias"] = gamma * w[f"{at}{layer}.bias"]
    if last_activation:
        state |= {f"norm.{part}": w[f"norm.{part}"] for part in ("weight", "bias")}
    backbone = spec.empty(size, last_activation=last_activation)
    backbone.load_state_dict(state, assign=True)
    return backbone.requires_grad_(True)


def after_norm(weights: Mapping[str, Tensor], norm: str, layer: str) -> dict[str, Tensor]:
    """A linear layer that takes over the affine of the layer norm before it."""
    weight = weights[f"{layer}.weight"]
    return {
        f"{layer}.weight": weight * weights[f"{norm}.weight"],
        f"{layer}.bias": weights[f"{layer}.bias"] + weight @ weights[f"{norm}.bias"],
    }


def _tokens(spec: TransformerSpec, w: Mapping[str, Tensor], size: Size) -> Tensor:
    """[1, 1 + registers + patches, D]; registers have no position."""
    first, grid = w["pos_embed"][:, :1], w["pos_embed"][:, 1:]
    side = int(grid.shape[1] ** 0.5)
    if side * side != grid.shape[1]:
        raise CheckpointError("the position embedding is no square", found=f"{grid.shape[1]} places")
    rows, columns = size[0] // PATCH, size[1] // PATCH
    if (rows, columns) != (side, side):
        grid = _interpolated(grid, side, (rows, columns), antialias=spec.registers > 0)
    registers = [w["register_tokens"]] if spec.registers else []
    return torch.cat([w["cls_token"] + first, *registers, grid], dim=1)


def _interpolated(grid: Tensor, side: int, wanted: Size, *, antialias: bool) -> Tensor:
    """Both of DINOv2's rules: by the side plus an offset without antialiasing, or by the size with it."""
    square = grid.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    if antialias:
        found = functional.interpolate(square, size=wanted, mode="bicubic", antialias=True)
    else:
        scale = tuple((length + _OFFSET) / side for length in wanted)
        found = functional.interpolate(square, scale_factor=scale, mode="bicubic")
    return found.flatten(2).transpose(1, 2)

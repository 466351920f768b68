"""The torch ops ``pocketvlad::attention`` and ``layer_norm``; their bodies are :mod:`pocketvlad.lut.attention`."""

from __future__ import annotations

import torch
from torch import Tensor

from pocketvlad.lut import attention
from pocketvlad.lut.ops import define


def _attention(qkv: Tensor, heads: int, scale: float) -> Tensor:
    return torch.from_numpy(attention.attention(qkv.detach().cpu().numpy(), heads, scale))


def _layer_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, epsilon: float) -> Tensor:
    scale, shift = (None if each is None else each.detach().cpu().numpy() for each in (weight, bias))
    return torch.from_numpy(attention.layer_norm(x.detach().cpu().numpy(), scale, shift, epsilon))


def _fake_attention(qkv, heads, scale):  # the types are those of the schema
    return qkv.new_empty((*qkv.shape[:2], qkv.shape[2] // 3))


def _fake_layer_norm(x, weight, bias, epsilon):
    return x.new_empty(x.shape)


define("attention", "Tensor qkv, int heads, float scale", _attention, _fake_attention)
define("layer_norm", "Tensor x, Tensor? weight, Tensor? bias, float epsilon", _layer_norm, _fake_layer_norm)

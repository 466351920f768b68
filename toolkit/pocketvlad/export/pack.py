"""Masks and codebooks -> packed layers: the module a program is made of."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from pocketvlad.compress.calibrate.int8_backbone import int8_backbone, replace_module
from pocketvlad.compress.compressed import Compressed
from pocketvlad.compress.graph import traced
from pocketvlad.compress.layers import KINDS
from pocketvlad.compress.recipe import INT8, LUT
from pocketvlad.errors import ExportError
from pocketvlad.lut import reference
from pocketvlad.lut.layers import LutConv1d, LutConv2d, LutLinear
from pocketvlad.lut.reference import MaxPool
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.heads.base import HeadCodes
from pocketvlad.model.network import Network
from pocketvlad.model.unit import unit_length

EXACT, FAST, MIXED = "exact", "fast", "mixed"
SEMANTICS = (MIXED, EXACT, FAST)
_MODULES = {nn.ReLU: reference.RELU, nn.ReLU6: reference.RELU6}
_FUNCTIONS = {torch.relu: reference.RELU, nn.functional.relu: reference.RELU, nn.functional.relu6: reference.RELU6}
_FUNCTIONS |= {torch.ops.aten.relu.default: reference.RELU}
_METHODS = {"relu": reference.RELU}


class PackedNetwork(nn.Module):
    """A compressed network over packed codes: float32 [1, 3, H, W] -> descriptor or scores float32 [1, N]."""

    def __init__(self, backbone: nn.Module, head: nn.Module, whitening: nn.Module | None):
        super().__init__()
        self.backbone, self.head, self.whitening = backbone, head, whitening

    def forward(self, x: Tensor) -> Tensor:
        found = self.head(self.backbone(x))
        return found if self.whitening is None else unit_length(self.whitening(found))


def pack(compressed: Compressed, semantics: str = MIXED, convolutions: str = LUT) -> nn.Module:
    """Every layer of ``compressed`` as a packed module, activations and max pooling fused into their convolutions.

    Fast 8-bit layers are re-coded onto the int8 grid (the results do not change).

    Args:
        compressed: of any recipe.
        semantics: ``exact``, ``fast``, or ``mixed``: in int8 the linear layers of one row for each input, and what
            calibration found to bear it. The former are the bulk of the bytes and bound by memory, where int8 pays and
            costs little accuracy; a convolution with heavy-tailed inputs can lose a lot.
        convolutions: of the backbone: ``lut``, or ``int8`` for XNNPACK's on the same weights.
    """
    require_semantics(semantics)
    skeleton = compressed.skeleton
    if not isinstance(skeleton, Network):
        return pack_graph(traced(skeleton), _Codes.of(compressed, semantics, "")).eval()
    backbone = pack_backbone(compressed, semantics, convolutions)
    names = {id(module): f"{name}." for name, module in skeleton.named_children()}
    codes = _Codes.of(compressed, semantics, names[id(skeleton.head)])
    head = skeleton.head.pack(codes.of_head(compressed, names[id(skeleton.head)]))
    whitening = None
    if skeleton.whitening is not None:
        part = OrderedDict(whitening=skeleton.whitening)
        inside = _Codes.of(compressed, semantics, names[id(skeleton.whitening)].removesuffix("."))
        whitening = inside.module("", part["whitening"], reference.NONE)
    return PackedNetwork(backbone, head or pack_graph(traced(skeleton.head), codes), whitening).eval()

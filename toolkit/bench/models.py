"""Whole place-recognition models, one image at a time: packed programs beside XNNPACK fp32 and int8.

Weights are random: time does not depend on them, and a bench needs no downloads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import peers
import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from rows import Row, compare, take_turns
from torch import nn
from torch.nn import functional
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from pocketvlad.compress.compressed import CompressedModel, quantize_centroids
from pocketvlad.compress.post_training import compressible_layers
from pocketvlad.export.fold import FAST, fold
from pocketvlad.lut.native import register_executorch_ops
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.netvlad import ModelConfig, PlaceModel
from pocketvlad.model.preprocess import Preprocess

FP32, INT8 = "XNNPACK fp32", "XNNPACK int8"
# Backbone, descriptor size, height, width, {peer: goal}.
MODELS = [
    ("alexnet", 4096, 480, 640, {FP32: None, INT8: 1.0}),
    ("alexnet", 4096, 240, 320, {FP32: None, INT8: 1.0}),
    ("vgg16", 4096, 240, 320, {FP32: None, INT8: 1.0}),
    ("squeezenet1_1", 512, 240, 320, {FP32: None, INT8: None}),
    ("mobilenet_v2", 512, 240, 320, {FP32: None, INT8: None}),
]
BITS = (8, 5)


def run(folder: Path, threads: int, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """All rows, for ``threads`` threads; programs are cached in ``folder``."""
    register_executorch_ops()
    peers.portable_lib._unsafe_reset_threadpool(threads)
    found: list[Row] = []
    for backbone, dim, height, width, goals in MODELS:
        name = f"{backbone} {height}x{width}"
        calls = {}
        for label, build in contenders(backbone, dim, height, width).items():
            say(f"{name}: {label}")
            file = folder / file_name(backbone, height, width, label)
            path = peers.exported(file, build, (1, 3, height, width))
            calls[label] = partial(peers.loaded(path), torch.randn(1, 3, height, width))
        timings = take_turns(calls, rounds)
        for bits in BITS:
            for peer, goal in goals.items():
                wanted = goal if threads == 1 else None
                ours = timings[f"{bits}-bit"]
                found.append(compare(f"{name}, {bits}-bit", ours, peer, timings[peer], wanted, threads))
    return found


def file_name(backbone: str, height: int, width: int, label: str) -> str:
    """Of a contender's program in the cache folder."""
    return f"{backbone}-{height}x{width}-{label.replace(' ', '-').lower()}.pte"


class _PeerModel(nn.Module):
    """The model in the operators XNNPACK takes whole once quantized (its own norms break the int8 delegate)."""

    def __init__(self, model: PlaceModel):
        super().__init__()
        self.backbone, self.pool, self.whitening = model.backbone, model.pool, model.whitening

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.normalize(self.backbone(x), dim=1)
        weights = self.pool.assignment(x).flatten(2).softmax(dim=1)
        sums = weights @ x.flatten(2).transpose(1, 2)
        vlad = sums - weights.sum(dim=2, keepdim=True) * self.pool.centroids
        vlad = functional.normalize(functional.normalize(vlad, dim=2).flatten(1), dim=1)
        return functional.normalize(self.whitening(vlad), dim=1)


def quantized(model: PlaceModel, photos: torch.Tensor, *, layers_only: bool = False) -> nn.Module:
    """XNNPACK's static int8, per channel, of a model; activations have the ranges of ``photos`` [N, 3, H, W].

    ``layers_only`` leaves what lies between convolutions and linear layers in float32.
    """
    graph = torch.export.export(_PeerModel(model), (photos[:1],), strict=False).module()
    quantizer, config = XNNPACKQuantizer(), get_symmetric_quantization_config(is_per_channel=True)
    if layers_only:
        for op in (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default):
            quantizer.set_operator_type(op, config)
    else:
        quantizer.set_global(config)
    prepared = prepare_pt2e(graph, quantizer)
    for photo in photos:
        prepared(photo[None])
    return convert_pt2e(prepared)


def contenders(backbone: str, dim: int, height: int, width: int) -> dict[str, Callable[[], nn.Module]]:
    config = ModelConfig(backbone, 64, dim, Preprocess(height, width))

    def plain() -> PlaceModel:
        torch.manual_seed(0)
        model = PlaceModel(config).eval()
        nn.init.normal_(model.whitening.weight, std=0.01)
        return model

    def int8() -> nn.Module:
        return quantized(plain(), torch.randn(1, 3, height, width))

    ours = {f"{bits}-bit": partial(_packed, plain, bits) for bits in BITS}
    return {FP32: plain, INT8: int8, **ours}


def _packed(plain: Callable[[], PlaceModel], bits: int) -> nn.Module:
    """Every layer at ``bits`` bits, codes at random."""
    model, rng = plain(), np.random.default_rng(bits)
    layers, biases = {}, {}
    for name, layer in compressible_layers(model).items():
        shape = tuple(layer.weight.shape)
        codes = rng.integers(0, 2**bits, (shape[0], int(np.prod(shape[1:]))), dtype=np.uint8)
        codebook = rng.normal(scale=float(layer.weight.std()), size=(1, 2**bits)).astype(np.float32)
        layers[name] = LutTensor(shape, bits, codes, codebook, np.ones(shape[0], np.float32))
        if layer.bias is not None:
            biases[name] = layer.bias.detach().numpy()
    centroids, scale = quantize_centroids(model.pool.centroids.detach().numpy())
    return fold(CompressedModel(model.config, layers, biases, centroids, scale), FAST)

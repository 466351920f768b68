"""Whole place-recognition models, one image at a time: packed programs beside XNNPACK fp32 and int8.

The contenders named ``int8 convolutions`` leave the backbone to XNNPACK's int8 kernels, on the codes of the 8-bit ones.
Weights are random: time does not depend on them, and a bench needs no downloads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import peers
import quantized
import torch
from pocketvlad.export.fold import FAST, fold
from pocketvlad.model.netvlad import ModelConfig, PlaceModel
from rows import Row, compare, take_turns
from torch import Tensor, fx, nn

from pocketvlad.compress.calibrate.activations import ActivationGrid, GridFitter, trace
from pocketvlad.compress.compressed import CompressedModel, quantize_centroids
from pocketvlad.compress.post_training import compressible_layers
from pocketvlad.compress.recipe import INT8 as BY_XNNPACK
from pocketvlad.compress.recipe import LUT
from pocketvlad.core.native import register_executorch_ops
from pocketvlad.lut.layouts import Dense, OneOf
from pocketvlad.lut.tensor import LutTensor
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


@dataclass(frozen=True)
class Packing:
    """Bits of the codes, of the whitening layer's if they are others, one of every ``block`` of its weights kept if
    that is not 0; what computes the convolutions.
    """

    bits: int
    whitening: int | None = None
    block: int = 0
    convolutions: str = LUT


OURS = {
    "8-bit": Packing(8),
    "5-bit": Packing(5),
    "1/32": Packing(5, whitening=1, block=8),
    "int8 convolutions, 3-bit whitening": Packing(8, whitening=3, convolutions=BY_XNNPACK),
}


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
        for ours in OURS:
            for peer, goal in goals.items():
                wanted = goal if threads == 1 else None
                found.append(compare(f"{name}, {ours}", timings[ours], peer, timings[peer], wanted, threads))
    return found


def file_name(backbone: str, height: int, width: int, label: str) -> str:
    """Of a contender's program in the cache folder."""
    return f"{backbone}-{height}x{width}-{label.replace(', ', '-').replace(' ', '-').replace('/', '-').lower()}.pte"


def contenders(backbone: str, dim: int, height: int, width: int) -> dict[str, Callable[[], nn.Module]]:
    config = ModelConfig(backbone, 64, dim, Preprocess(height, width))

    def plain() -> PlaceModel:
        torch.manual_seed(0)
        model = PlaceModel(config).eval()
        nn.init.normal_(model.whitening.weight, std=0.01)
        return model

    def int8() -> nn.Module:
        return quantized.static_int8(quantized.PlainOperators(plain()), [torch.randn(1, 3, height, width)])

    ours = {name: partial(_packed, plain, packing) for name, packing in OURS.items()}
    return {FP32: plain, INT8: int8, **ours}


def _packed(plain: Callable[[], PlaceModel], packing: Packing) -> nn.Module:
    """Every layer packed, codes at random."""
    model, rng = plain(), np.random.default_rng(packing.bits)
    layers, biases = {}, {}
    for name, layer in compressible_layers(model).items():
        shape = tuple(layer.weight.shape)
        layout = OneOf(packing.block) if packing.block and name == "whitening" else Dense()
        bits = packing.whitening if name == "whitening" and packing.whitening else packing.bits
        codes = rng.integers(0, 2**bits, (shape[0], int(np.prod(shape[1:]))), dtype=np.uint8)
        codebook = rng.normal(scale=float(layer.weight.std()), size=(1, 2**bits)).astype(np.float32)
        mask = layout.survivors(layer.weight.detach().numpy()) if layout.group else None
        layers[name] = LutTensor(shape, bits, codes, codebook, np.ones(shape[0], np.float32), mask, layout)
        if layer.bias is not None:
            biases[name] = layer.bias.detach().numpy()
    centroids, scale = quantize_centroids(model.pool.centroids.detach().numpy())
    int8 = packing.convolutions == BY_XNNPACK
    grids = _grids(model) if int8 else {}
    compressed = CompressedModel(model.config, layers, biases, centroids, scale, activations=grids)
    return fold(compressed, FAST, packing.convolutions)


def _grids(model: PlaceModel) -> dict[str, ActivationGrid]:
    """Of the activations of one random image."""
    fitter = GridFitter(model.backbone)

    class Watched(fx.Interpreter):
        def run_node(self, node: fx.Node) -> Tensor:
            found = super().run_node(node)
            return found if node.op == "output" else fitter(node, [found])[0]

    size = model.config.preprocess
    with torch.no_grad():
        Watched(trace(model.backbone)).run(torch.randn(1, 3, size.height, size.width))
    return fitter.grids

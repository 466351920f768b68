"""Time of post-training compression: whole models by k-means beside one layer by coremltools, in one run."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import nn

from bench.asked import Asked
from bench.rows import Comparison, Timing, compare
from pocketvlad.compress.codes.assignment import quantize_layer
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.model.backbones import random_backbone

PEER_SHAPE = (4096, 16384)
MODELS = {"alexnet": (4096, 64 * 256), "vgg16": (4096, 64 * 512)}
GOAL_SECONDS = {"alexnet": 20.0, "vgg16": 45.0}


def run(asked: Asked) -> list[Comparison]:
    """AlexNet and VGG16 with 4,096 whitened dimensions at 8, 5 and 3 bits; one coremltools layer as the peer.

    ``ratio`` is the peer's time for its one layer over ours for the whole model, so above 1 is faster.
    """
    torch.set_num_threads(asked.threads)
    asked.say("coremltools PostTrainingPalettizer, one 16384x4096 layer at 4 bits")
    peer = _timing(coremltools_seconds())
    rows = []
    for name, shape in MODELS.items():
        weights = model_weights(name, shape)
        for bits in (8, 5, 3):
            asked.say(f"{name}, {bits} bits")
            ours = _timing(compress_seconds(weights, bits))
            title = f"compress {name}+WPCA{shape[0]} {bits}-bit k-means, all layers"
            goal = peer.median / (1e3 * GOAL_SECONDS[name])
            rows.append(compare(title, ours, "coremltools, one layer", peer, goal, asked.threads))
    return rows


def _timing(seconds: float) -> Timing:
    return Timing.of([seconds])


def model_weights(backbone: str, whitening: tuple[int, int]) -> list[np.ndarray]:
    """Every weight tensor of the model, normal random values."""
    convolutions = [
        m.weight.detach().numpy() for m in random_backbone(backbone).modules() if isinstance(m, nn.Conv2d)
    ]
    wide = np.random.default_rng(0).standard_normal(whitening, dtype=np.float32)
    return [*convolutions, wide]


def compress_seconds(weights: list[np.ndarray], bits: int) -> float:
    """Seconds from weights to packed bytes."""
    start = time.perf_counter()
    for weight in weights:
        _ = quantize_layer(weight, LayerRecipe(bits=bits)).packed
    return time.perf_counter() - start


def coremltools_seconds() -> float:
    """Seconds of coremltools' k-means palettization of one layer."""
    from coremltools.optimize.torch.palettization import PostTrainingPalettizer, PostTrainingPalettizerConfig

    layer = nn.Sequential(nn.Linear(PEER_SHAPE[1], PEER_SHAPE[0]))
    config = PostTrainingPalettizerConfig.from_dict(
        {"global_config": {"n_bits": 4, "granularity": "per_tensor"}}
    )
    start = time.perf_counter()
    PostTrainingPalettizer(layer, config).compress()
    return time.perf_counter() - start

"""Whole place-recognition models, one image at a time: packed programs beside XNNPACK fp32 and int8,
of transformers with linear layers in 8 and 4 bits (:mod:`bench.programs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from bench import peers
from bench.asked import Asked
from bench.networks import GEM, MEGALOC, MIXVPR, SALAD
from bench.programs import DYNAMIC, FP32, INT8, OURS, Timed, programs
from bench.rows import Comparison, compare, take_turns

_TOKENS: dict[str, float | None] = {FP32: None} | dict.fromkeys(DYNAMIC, 1.0)
MODELS = [
    Timed("alexnet", 4096, 480, 640, {FP32: None, INT8: 1.3}),
    Timed("alexnet", 4096, 240, 320, {FP32: None, INT8: 1.3}),
    Timed("vgg16", 4096, 240, 320, {FP32: None, INT8: 1.05}),
    Timed("squeezenet1_1", 512, 240, 320, {FP32: None, INT8: 1.3}),
    Timed("mobilenet_v2", 512, 240, 320, {FP32: None, INT8: 1.1}, GEM),
    Timed("mobilenet_v2", 512, 480, 640, {FP32: None, INT8: 1.1}, GEM),
    Timed("efficientnet_lite0", 512, 240, 320, {FP32: None, INT8: 1.1}, GEM),
    Timed("efficientnet_lite0", 512, 480, 640, {FP32: None, INT8: 1.1}, GEM),
    Timed("resnet18", 512, 240, 320, {FP32: None, INT8: 1.1}, GEM),
    Timed("resnet50", 2048, 240, 320, {FP32: None, INT8: 1.1}, GEM),
    Timed("resnet50_layer3", 4096, 320, 320, {FP32: None, INT8: 1.0}, MIXVPR),
    Timed("dinov2_vits14_class", 8448, 224, 224, _TOKENS, SALAD),
    Timed("dinov2_vits14_class", 8448, 322, 322, _TOKENS, SALAD),
    Timed("dinov2_vitb14_class", 8448, 224, 224, _TOKENS, MEGALOC),
    Timed("dinov2_vitb14_class", 8448, 322, 322, _TOKENS, MEGALOC),
]
# What the goals are of.
JUDGED = (
    "5-bit, int8 throughout",
    "1/32, int8 throughout",
    "4-bit linear layers",
    "4-bit linear layers, the last one of 8",
)


def run(asked: Asked) -> list[Comparison]:
    """All rows; ``only`` names models or their backbones."""
    peers.use_threads(asked.threads)
    found: list[Comparison] = []
    for model in chosen(asked.only):
        paths = programs(model, asked.folder, asked.say, asked.labels)
        x = torch.randn(1, 3, model.height, model.width)
        timings = take_turns(
            {label: partial(peers.loaded(path), x) for label, path in paths.items()}, asked.rounds
        )
        for ours in filter(OURS.__contains__, timings):
            for peer, goal in model.goals.items():
                if peer in timings:
                    name = f"{model.name}, {ours}"
                    wanted = goal if asked.threads == 1 and ours in JUDGED else None
                    found.append(compare(name, timings[ours], peer, timings[peer], wanted, asked.threads))
    return found


def chosen(only: Sequence[str]) -> list[Timed]:
    """The models of these names or backbones; all of them if none is named."""
    return [model for model in MODELS if not only or model.backbone in only or model.name in only]

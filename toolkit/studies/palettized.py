"""Core ML's palettization of a place model: the three palettizers of coremltools, and the bytes of their format.

Core ML runs on Apple's systems alone; what it would compute is computed here by torch in float32, from weights rounded
to the half precision it stores.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad.compress.train.triplets import epoch_order, mine, triplet_loss
from pocketvlad.dataset.tensors import PhotoTensors
from pocketvlad.model.network import Network
from pocketvlad.model.preprocess import photo_tensor

MARGIN, NEGATIVES = 0.1, 5
_LUT, _SCALE = "_COREML_/weight/lut", "_COREML_/weight/palettization_scale"


@dataclass(frozen=True)
class Palette:
    """How every layer is palettized.

    Attributes:
        bits: of a code in the whitening layer.
        convolution_bits: of a code elsewhere; 0: the same.
        rows: output rows that share a lookup table; 0: one table per tensor, as by default.
        scales: rows are divided by their largest weight first.
    """

    bits: int
    convolution_bits: int = 0
    rows: int = 0
    scales: bool = False

    def configuration(self, **more: object) -> dict[str, Any]:
        """As coremltools reads it, with ``more`` options for every layer."""
        shared: dict[str, Any] = {
            "granularity": "per_tensor",
            "enable_per_channel_scale": self.scales,
            **more,
        }
        if self.rows:
            shared |= {"granularity": "per_grouped_channel", "group_size": self.rows}
        rest = {**shared, "n_bits": self.convolution_bits or self.bits}
        whitening = {**shared, "n_bits": self.bits}
        return {"global_config": rest, "module_name_configs": {"whitening": whitening}}


def post_training(model: Network, palette: Palette) -> Network:
    """k-means of every layer's weights."""
    from coremltools.optimize.torch.palettization import PostTrainingPalettizer, PostTrainingPalettizerConfig

    config = PostTrainingPalettizerConfig.from_dict(palette.configuration())
    return PostTrainingPalettizer(model, config).compress()


def sensitive(model: Network, palette: Palette, sensitivity: Path) -> Network:
    """k-means weighted by what :func:`write_sensitivity` found."""
    from coremltools.optimize.torch.palettization import SKMPalettizer, SKMPalettizerConfig

    config = SKMPalettizerConfig.from_dict(palette.configuration())
    return SKMPalettizer(model, config).compress(sensitivity_path=str(sensitivity))


def write_sensitivity(model: Network, photos: PhotoTensors, tuples: int, out: Path) -> int:
    """Squared gradients of the triplet loss by weight, over the first ``tuples`` queries that violate the margin.

    Returns:
        How many there were.
    """
    from coremltools.optimize.torch.palettization import SKMPalettizer, SKMPalettizerConfig

    def loss(network: nn.Module, batch: Tensor) -> Tensor:
        found = network(batch)
        return triplet_loss(found[0], found[1], found[2:], MARGIN)

    config = SKMPalettizerConfig.from_dict({**Palette(4).configuration(), "calibration_nsamples": tuples})
    palettizer = SKMPalettizer(copy.deepcopy(model), config)
    found = violating_tuples(model, photos, tuples)
    palettizer.compute_sensitivity(found, loss, str(out))
    return len(found)


@torch.no_grad()
def violating_tuples(model: Network, photos: PhotoTensors, count: int) -> list[Tensor]:
    """Query, best positive and hardest negatives that violate the margin, each float32 [2 + negatives, 3, H, W]."""
    everything = range(len(photos.dataset.photos))
    described = np.concatenate([model(photos.stack([number])).numpy() for number in everything])
    database, random = np.arange(len(everything)), np.random.default_rng(0)
    found: list[Tensor] = []
    for query in epoch_order(photos.dataset.queries, 0, 0):
        one = mine(query, described, database, NEGATIVES, MARGIN, random)
        if one.negatives and len(found) < count:
            found.append(photos.stack(one.photos))
    return found


def differentiable(
    model: Network, palette: Palette, photos: Tensor, *, steps: int, batch: int, rate: float
) -> Network:
    """Differentiable k-means, trained towards the float32 descriptors of ``photos`` [N, 3, H, W].

    It starts from the lookup tables of :func:`post_training`, and each step moves them once: its own start takes hours
    for the whitening layer, and its default of three moves three times as long.
    ``rate`` is relative to the root mean square of each tensor.
    """
    from coremltools.optimize.torch.palettization import DKMPalettizer, DKMPalettizerConfig

    with torch.no_grad():
        wanted = torch.cat([model(photo[None]) for photo in photos])
    start = post_training(model, palette)
    config = DKMPalettizerConfig.from_dict(palette.configuration(kmeans_max_iter=1))
    palettizer = DKMPalettizer(copy.deepcopy(model), config)
    network = palettizer.prepare(inplace=True)
    for name, module in network.named_modules():
        fake = getattr(module, "weight_fake_quant", None)
        if fake is not None:
            fake.create_partitions(module.weight.detach())
            lut: Any = start.get_submodule(name)._buffers[_LUT]
            fake.centroids = list(lut.reshape(len(fake.partitions), -1, 1).clone())
    groups = [
        {"params": [p], "lr": rate * float(p.detach().square().mean().sqrt())} for p in network.parameters()
    ]
    optimizer = torch.optim.Adam(groups)
    random = np.random.default_rng(0)
    for _ in range(steps):
        chosen = random.choice(len(photos), batch, replace=False)
        optimizer.zero_grad()
        loss = (1 - (network(photos[chosen]) * wanted[chosen]).sum(dim=1)).mean()
        loss.backward()
        optimizer.step()
        palettizer.step()
    return palettizer.finalize(inplace=True)


def palettized_bytes(model: nn.Module) -> int:
    """Codes of ``bits`` bits, lookup tables and row scales in float16, every other parameter in float16."""
    total = 0
    for module in model.modules():
        lut, scale = module._buffers.get(_LUT), module._buffers.get(_SCALE)
        for name, parameter in module.named_parameters(recurse=False):
            if name == "weight" and lut is not None:
                bits = round(math.log2(lut.shape[-2]))
                total += math.ceil(parameter.numel() * bits / 8) + 2 * lut.numel()
                total += 0 if scale is None else 2 * scale.numel()
            else:
                total += 2 * parameter.numel()
    return total


def described_by(model: Network) -> Callable[[Any], np.ndarray]:
    """Photo -> descriptor float32 [dim], by torch, from parameters rounded to half precision."""
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    model.eval()

    @torch.inference_mode()
    def describe(photo: Any) -> np.ndarray:
        return model(torch.from_numpy(photo_tensor(photo, model.config.preprocess))[None])[0].numpy()

    return describe

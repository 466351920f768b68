"""Layers that are finished, in files: a calibration that was stopped takes them from there."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pocketvlad import artifact
from pocketvlad.compress.calibrate.fit import Fitted
from pocketvlad.compress.compressed import describe_layers, layer_tensors, read_layers
from pocketvlad.compress.recipe import Recipe
from pocketvlad.errors import PocketvladError
from pocketvlad.model.network import Network

_KIND, _RANDOM = "layer", "random"


class KeptLayers:
    """The finished layers of one calibration, below a folder; those of another one there are removed.

    Args:
        folder: is made where it is missing; None: nothing is kept.
        network, recipe, examples: all that the layers depend on.
    """

    def __init__(
        self, folder: Path | None, network: nn.Module, recipe: Recipe, examples: Sequence[tuple[Any, ...]]
    ):
        self._folder: Path | None = None
        if folder is not None:
            self._folder = folder / f"layers-{_fingerprint(network, recipe, examples)}"
            for other in folder.glob("layers-*"):
                if other != self._folder:
                    shutil.rmtree(other, ignore_errors=True)

    def take(self, name: str, generator: torch.Generator) -> Fitted | None:
        """A layer, where it is kept; random numbers go on as behind it."""
        if self._folder is None:
            return None
        try:
            tensors, info = artifact.load_tensors(self._file(self._folder, name), _KIND)
            layers, biases = read_layers(tensors, info["layers"])
            generator.set_state(torch.from_numpy(tensors[_RANDOM]))
            return Fitted(layers[name], biases.get(name))
        except (PocketvladError, KeyError, TypeError, ValueError, IndexError, RuntimeError):
            return None  # missing, or damaged: it is made again

    def keep(self, name: str, found: Fitted, generator: torch.Generator) -> None:
        """Write a finished layer down; ``generator`` as it is behind it.

        Raises:
            ArtifactError: the disk refuses it.
        """
        if self._folder is None:
            return
        layers = {name: found.lut}
        tensors = layer_tensors(layers, {} if found.bias is None else {name: found.bias})
        tensors[_RANDOM] = generator.get_state().numpy()
        info = {"layers": describe_layers(layers)}
        artifact.save_tensors(self._file(self._folder, name), _KIND, tensors, info, force=True)

    @staticmethod
    def _file(folder: Path, name: str) -> Path:
        return folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.safetensors"


def _fingerprint(network: nn.Module, recipe: Recipe, examples: Sequence[tuple[Any, ...]]) -> str:
    arrays = {name: each.detach().numpy() for name, each in network.state_dict().items()}
    for number, example in enumerate(examples):
        for place, each in enumerate(example):
            if isinstance(each, Tensor):
                arrays[f"example {number}, {place}"] = each.numpy()
    built = network.config.to_json() if isinstance(network, Network) else str(network)
    said = {"network": built, "recipe": recipe.key(), "versions": artifact.versions()}
    return artifact.tensors_fingerprint(arrays, said)[:16]

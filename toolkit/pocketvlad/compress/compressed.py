"""A compressed network: every layer as codes and codebook, in memory and as ``compressed.safetensors``."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad import artifact
from pocketvlad.compress.grid import ActivationGrid
from pocketvlad.compress.recipe import Recipe
from pocketvlad.errors import ArtifactError, KernelError, PocketvladError
from pocketvlad.lut.layouts import PackedLut, described
from pocketvlad.lut.rows import QuantizedRows
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.kinds import COMPRESSED, MODEL, kind_of_model
from pocketvlad.model.network import Network, NetworkConfig, load_model, what_misses
from pocketvlad.schema import from_table, to_table

KIND = COMPRESSED
_PARTS = ("packed", "row_offsets", "codebook", "row_scale")
_SCALE = ".scale"  # of a constant's rows
_IDENTITY = ("config", "layers", "activations")  # keys of the metadata that are part of the fingerprint


@dataclass(frozen=True, eq=False)
class Compressed:
    """What compression makes of a network.

    Attributes:
        skeleton: the network without the values that are compressed; it keeps all others.
        layers: weights by the layer's module name.
        biases: float32 [O] by the same names, for layers that have one.
        constants: of the head, by parameter name.
        recipe: that made it.
        figures: what compression measured of itself, for reports.
        int8: layers that compute in int8 in a program of ``mixed`` semantics: the linear layers of one row for each
            input, which are bound by memory and lose little, and what calibration found may.
        activations: grids of the backbone's activations by the node's name, where XNNPACK may compute it in
            int8; see :mod:`pocketvlad.compress.calibrate.int8_backbone`.
        left: layers that stay float32, each with the reason.
    """

    skeleton: nn.Module
    layers: Mapping[str, LutTensor]
    biases: Mapping[str, np.ndarray]
    constants: Mapping[str, QuantizedRows] = field(default_factory=dict)
    recipe: Recipe = field(default_factory=lambda: Recipe(1, "unnamed"))
    figures: Mapping[str, Any] = field(default_factory=dict)
    int8: frozenset[str] = frozenset()
    activations: Mapping[str, ActivationGrid] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)

    @property
    def config(self) -> NetworkConfig:
        """Of the network.

        Raises:
            ArtifactError: it is not one of ours but a module of the user's.
        """
        if not isinstance(self.skeleton, Network):
            raise ArtifactError(f"{type(self.skeleton).__name__} is no network of backbone and head")
        return self.skeleton.config

    def roles(self) -> dict[str, str]:
        """What each layer is for; empty for a module of the user's."""
        return self.skeleton.roles() if isinstance(self.skeleton, Network) else {}

    def to_torch(self) -> Any:
        """The network with dequantized weights, in eval mode: the ``exact`` semantics of the kernels."""
        network = copy.deepcopy(self.skeleton)
        for name, lut in self.layers.items():
            _fill(network, f"{name}.weight", lut.dequantize())
        for name, bias in self.biases.items():
            _fill(network, f"{name}.bias", bias.copy())
        for name, rows in self.constants.items():
            _fill(network, name, rows.dequantize())
        return network.eval()

    def tensors(self) -> dict[str, np.ndarray]:
        """Every array as it lies in the file; the packed bytes are those of the program."""
        found = layer_tensors(self.layers, self.biases)
        for name, rows in self.constants.items():
            found |= {name: rows.values, f"{name}{_SCALE}": rows.scale}
        return found | self.rest()

    def rest(self) -> dict[str, np.ndarray]:
        """What is not compressed, by its name in the network."""
        state = self.skeleton.state_dict()
        return {name: each.numpy() for name, each in state.items() if each.device.type != "meta"}


def skeleton_of(network: nn.Module, layers: Mapping[str, Any], constants: Mapping[str, Any]) -> nn.Module:
    """A copy of the network without the values of these layers and constants."""
    memo: dict[int, Any] = {}
    named = dict(network.named_parameters())
    taken = [f"{name}.{part}" for name in layers for part in ("weight", "bias")]
    for name in (*taken, *constants):
        if name in named:
            memo[id(named[name])] = nn.Parameter(named[name].detach().to("meta"))
    return copy.deepcopy(network, memo).eval()


def _fill(network: nn.Module, name: str, values: np.ndarray) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, nn.Parameter(torch.from_numpy(values)))


def layer_tensors(layers: Mapping[str, LutTensor], biases: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of layers and biases by the names they have in a file."""
    found = {f"{name}.bias": bias for name, bias in biases.items()}
    for name, lut in layers.items():
        parts = (lut.packed.packed, lut.packed.row_offsets, lut.codebook, lut.row_scale)
        found |= {f"{name}.{p}": a for p, a in zip(_PARTS, parts, strict=True) if a is not None}
    return found


def describe_layers(layers: Mapping[str, LutTensor]) -> dict[str, Any]:
    """What a file must say of its layers for :func:`read_layers`."""
    return {
        name: {"shape": list(lut.shape), "bits": lut.bits, **lut.layout.describe()}
        for name, lut in layers.items()
    }


def describe_activations(grids: Mapping[str, ActivationGrid]) -> dict[str, Any]:
    """Grids as JSON: scale and zero point by the node's name."""
    return {name: [grid.scale, grid.zero_point] for name, grid in sorted(grids.items())}


def read_layers(
    tensors: Mapping[str, np.ndarray], described: Mapping[str, Any]
) -> tuple[dict[str, LutTensor], dict[str, np.ndarray]]:
    """Layers and biases from a file's arrays; the inverse of :func:`layer_tensors`.

    Raises:
        KeyError, TypeError, ValueError, IndexError, KernelError: the arrays do not fit the description.
    """
    layers = {name: _layer(tensors, name, about) for name, about in described.items()}
    return layers, {name: tensors[f"{name}.bias"] for name in layers if f"{name}.bias" in tensors}


def save_compressed(
    out: Path | str, compressed: Compressed, made_from: Mapping[str, Any], *, force: bool = False
) -> None:
    """Write ``compressed.safetensors``."""
    tensors = compressed.tensors()
    ours = isinstance(compressed.skeleton, Network)
    config = compressed.config.to_json() if ours else {"module": type(compressed.skeleton).__name__}
    identity = {"config": config, "layers": describe_layers(compressed.layers)}
    if compressed.activations:
        identity["activations"] = describe_activations(compressed.activations)
    info = {
        **identity,
        "constants": sorted(compressed.constants),
        "recipe": to_table(compressed.recipe),
        "figures": dict(compressed.figures),
        "int8": sorted(compressed.int8),
        "left": dict(compressed.left),
        "fingerprint": artifact.tensors_fingerprint(tensors, identity),
        "made_from": dict(made_from),
    }
    artifact.save_tensors(out, KIND, tensors, info, force=force)


def load_compressed(path: Path | str, into: nn.Module | None = None) -> Compressed:
    """Read a file of :func:`save_compressed`.

    Args:
        path: the file.
        into: the traced module it was made from, where that is not one of our networks.

    Raises:
        ArtifactError: not such a file, its tensors do not fit its description or have changed, or ``into`` is missing.
    """
    tensors, info = artifact.load_tensors(path, KIND)
    try:
        layers, biases = read_layers(tensors, info["layers"])
        constants = {
            name: QuantizedRows(tensors[name], tensors[f"{name}{_SCALE}"]) for name in info["constants"]
        }
        skeleton = _skeleton(path, info["config"], into, layers, constants)
        taken = {f"{name}.{part}" for name in layers for part in ("weight", "bias")} | set(constants)
        _restore(skeleton, {name: each for name, each in tensors.items() if name not in taken})
        found = Compressed(
            skeleton,
            layers,
            biases,
            constants,
            recipe=from_table(Recipe, info["recipe"], str(path)),
            figures=info["figures"],
            int8=frozenset(info["int8"]),
            activations={name: ActivationGrid(*pair) for name, pair in info.get("activations", {}).items()},
            left=info["left"],
        )
    except ArtifactError:
        raise
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        OverflowError,
        RuntimeError,
        KernelError,
        PocketvladError,
    ) as error:
        raise ArtifactError(f"{path} does not fit its own description", found=what_misses(error)) from error
    artifact.require_intact(path, tensors, {key: info[key] for key in _IDENTITY if key in info}, info)
    return found


def _skeleton(
    path: Path | str,
    config: object,
    into: nn.Module | None,
    layers: Mapping[str, Any],
    constants: Mapping[str, Any],
) -> nn.Module:
    if not isinstance(config, Mapping) or "module" not in config:
        return Network.empty(NetworkConfig.from_json(config))
    if into is None:
        raise ArtifactError(
            f"{path} holds the codes of a module {config['module']}, not the module",
            do="give the module it was made from",
        )
    return skeleton_of(into, layers, constants)


def _restore(skeleton: nn.Module, tensors: Mapping[str, np.ndarray]) -> None:
    """What the file holds uncompressed, into the skeleton."""
    for name in skeleton.state_dict():
        if name in tensors:
            parent, _, last = name.rpartition(".")
            owner = skeleton.get_submodule(parent)
            found: Tensor = torch.from_numpy(tensors[name])
            setattr(owner, last, nn.Parameter(found) if last in owner._parameters else found)


def _layer(tensors: Mapping[str, np.ndarray], name: str, about: Mapping[str, Any]) -> LutTensor:
    packed = PackedLut(tensors[f"{name}.packed"], tensors.get(f"{name}.row_offsets"))
    scale = tensors.get(f"{name}.row_scale")
    shape = tuple(about["shape"])
    return LutTensor.from_packed(
        packed,
        shape,
        about["bits"],
        tensors[f"{name}.codebook"],
        scale,
        described(about),
    )


def open_model(path: Path | str) -> Network | Compressed:
    """A model or a compressed one, whichever the file is.

    Raises:
        ArtifactError: it is neither.
    """
    return load_model(path) if kind_of_model(path) == MODEL else load_compressed(path)

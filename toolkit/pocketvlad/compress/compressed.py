"""A compressed model: every layer as codes and codebook, in memory and as ``compressed.safetensors``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocketvlad import artifact
from pocketvlad.compress.calibrate.activations import ActivationGrid
from pocketvlad.errors import ArtifactError, KernelError
from pocketvlad.lut.layouts import PackedLut, described
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.netvlad import ModelConfig, PlaceModel

KIND = "compressed"
_PARTS = ("packed", "row_offsets", "codebook", "row_scale")


@dataclass(frozen=True, eq=False)
class CompressedModel:
    """What compression makes of a :class:`PlaceModel`.

    Attributes:
        config: of the model.
        layers: weights by the layer's module name: ``backbone.*``, ``pool.assignment``, ``whitening``.
        biases: float32 [O] by the same names, for layers that have one.
        centroids: int8 [K, D]; cluster centre k is ``centroids[k] * centroid_scale[k]``.
        centroid_scale: float32 [K].
        recipe: the recipe as JSON.
        figures: what compression measured of itself, for reports.
        int8: convolutions that compute in int8 in a program of ``mixed`` semantics, as calibration found they
            may.
        activations: grids of the backbone's activations by the node's name, where XNNPACK may compute it in
            int8; see :mod:`pocketvlad.compress.calibrate.int8_backbone`.
    """

    config: ModelConfig
    layers: Mapping[str, LutTensor]
    biases: Mapping[str, np.ndarray]
    centroids: np.ndarray
    centroid_scale: np.ndarray
    recipe: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    int8: frozenset[str] = frozenset()
    activations: Mapping[str, ActivationGrid] = field(default_factory=dict)

    def to_torch(self) -> PlaceModel:
        """The model with dequantized weights, in eval mode: the ``exact`` semantics of the kernels."""
        model = PlaceModel(self.config)
        state = {f"{name}.weight": torch.from_numpy(lut.dequantize()) for name, lut in self.layers.items()}
        state |= {f"{name}.bias": torch.from_numpy(bias.copy()) for name, bias in self.biases.items()}
        centres = self.centroids.astype(np.float32) * self.centroid_scale[:, None]
        state["pool.centroids"] = torch.from_numpy(centres)
        model.load_state_dict(state, assign=True)
        return model.eval()

    def tensors(self) -> dict[str, np.ndarray]:
        """Every array as it lies in the file; the packed bytes are those of the program."""
        found = layer_tensors(self.layers, self.biases)
        return found | {"pool.centroids": self.centroids, "pool.centroid_scale": self.centroid_scale}


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


def quantize_centroids(centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 [K, D] -> int8 [K, D] and float32 [K], 8 bits per row, uniform."""
    largest = np.abs(centroids).max(axis=1)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.rint(centroids / scale[:, None]).astype(np.int8), scale


def save_compressed(
    out: Path | str, compressed: CompressedModel, made_from: Mapping[str, Any], *, force: bool = False
) -> None:
    """Write ``compressed.safetensors``."""
    tensors = compressed.tensors()
    identity = {"config": compressed.config.to_json(), "layers": describe_layers(compressed.layers)}
    if compressed.activations:
        identity["activations"] = describe_activations(compressed.activations)
    info = {
        **identity,
        "recipe": dict(compressed.recipe),
        "figures": dict(compressed.figures),
        "int8": sorted(compressed.int8),
        "fingerprint": artifact.tensors_fingerprint(tensors, identity),
        "made_from": dict(made_from),
    }
    artifact.save_tensors(out, KIND, tensors, info, force=force)


def load_compressed(path: Path | str) -> CompressedModel:
    """Read a file of :func:`save_compressed`.

    Raises:
        ArtifactError: not such a file, or its tensors do not fit its description.
    """
    tensors, info = artifact.load_tensors(path, KIND)
    try:
        layers, biases = read_layers(tensors, info["layers"])
        return CompressedModel(
            config=ModelConfig.from_json(info["config"]),
            layers=layers,
            biases=biases,
            centroids=tensors["pool.centroids"],
            centroid_scale=tensors["pool.centroid_scale"],
            recipe=info["recipe"],
            figures=info["figures"],
            int8=frozenset(info.get("int8", ())),
            activations={name: ActivationGrid(*pair) for name, pair in info.get("activations", {}).items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, KernelError) as error:
        raise ArtifactError(f"{path} does not fit its own description", found=str(error)) from error


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

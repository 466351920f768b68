"""A compressed model: every layer as codes, kept with what it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocketvlad import artifact
from pocketvlad.errors import ArtifactError
from pocketvlad.lut.tensor import LutTensor, PackedLut
from pocketvlad.model.netvlad import ModelConfig, PlaceModel

KIND = "compressed"
ASSIGNMENT, WHITENING = "pool.assignment", "whitening"


@dataclass(frozen=True, eq=False)
class CompressedModel:
    """Every convolution, the soft assignment and the whitening as a :class:`LutTensor`.

    Attributes:
        config: of the model it came from.
        layers: by module name, ``backbone.*``, ``pool.assignment``, ``whitening``.
        biases: float32, by module name.
        centroids: int8 [K, D]; cluster centre k is ``centroids[k] * centroid_scale[k]``.
        centroid_scale: float32 [K].
    """

    config: ModelConfig
    layers: Mapping[str, LutTensor]
    biases: Mapping[str, np.ndarray]
    centroids: np.ndarray
    centroid_scale: np.ndarray

    def to_torch(self) -> PlaceModel:
        """The plain torch model with the decoded weights, in eval mode."""
        model = PlaceModel(self.config)
        modules = dict(model.named_modules())
        with torch.no_grad():
            for name, lut in self.layers.items():
                modules[name].weight = torch.nn.Parameter(torch.from_numpy(lut.dequantize()))
                if name in self.biases:
                    modules[name].bias.copy_(torch.from_numpy(self.biases[name]))
            centres = self.centroids.astype(np.float32) * self.centroid_scale[:, None]
            model.pool.centroids.copy_(torch.from_numpy(centres))
        return model.eval()


def quantize_centroids(centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 [K, D] -> int8 [K, D] and float32 [K]: 8-bit uniform with a scale per cluster."""
    scale = np.maximum(np.abs(centroids).max(axis=1), np.finfo(np.float32).tiny) / 127
    return np.rint(centroids / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def save_compressed(
    out: Path | str, model: CompressedModel, made_from: Mapping[str, Any], *, force: bool = False
) -> None:
    """Write ``compressed.safetensors``: the packed bytes of the program and the recipe's provenance."""
    tensors = {"pool.centroids": model.centroids, "pool.centroid_scale": model.centroid_scale}
    tensors |= {f"{name}.bias": bias for name, bias in model.biases.items()}
    table = {}
    for name, lut in model.layers.items():
        parts = {
            "packed": lut.packed.packed,
            "row_offsets": lut.packed.row_offsets,
            "codebook": lut.codebook,
            "row_scale": lut.row_scale,
        }
        tensors |= {f"{name}.{part}": array for part, array in parts.items() if array is not None}
        table[name] = {"shape": list(lut.shape), "bits": lut.bits, "sparse": lut.mask is not None}
    config = {"config": model.config.to_json(), "layers": table}
    info = {
        **config,
        "fingerprint": artifact.tensors_fingerprint(tensors, config),
        "made_from": dict(made_from),
    }
    artifact.save_tensors(out, KIND, tensors, info, force=force)


def load_compressed(path: Path | str) -> CompressedModel:
    """Read a file of :func:`save_compressed`.

    Raises:
        ArtifactError: not one, or its tensors do not fit its table of layers.
    """
    tensors, info = artifact.load_tensors(path, KIND)
    try:
        layers = {
            name: LutTensor.from_packed(
                PackedLut(tensors[f"{name}.packed"], tensors.get(f"{name}.row_offsets")),
                tuple(entry["shape"]),
                entry["bits"],
                tensors[f"{name}.codebook"],
                tensors.get(f"{name}.row_scale"),
                entry["sparse"],
            )
            for name, entry in info["layers"].items()
        }
        biases = {name: tensors[f"{name}.bias"] for name in layers if f"{name}.bias" in tensors}
        config = ModelConfig.from_json(info["config"])
        return CompressedModel(
            config, layers, biases, tensors["pool.centroids"], tensors["pool.centroid_scale"]
        )
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{path} lacks a part of a compressed model", found=f"no {error}") from error

"""The place-recognition model: backbone, NetVLAD aggregation, PCA whitening.

NetVLAD: Arandjelovic, Gronat, Torii, Pajdla, Sivic, "NetVLAD: CNN architecture for weakly supervised place
recognition", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pocketvlad import artifact
from pocketvlad.errors import ArtifactError
from pocketvlad.model.backbones import backbone_spec, build_backbone
from pocketvlad.model.preprocess import Preprocess

KIND = "model"


@dataclass(frozen=True)
class ModelConfig:
    """What a model is made of, apart from its weights.

    Attributes:
        backbone: a key of :data:`pocketvlad.model.backbones.BACKBONES`.
        clusters: K.
        dim: rows of the whitening layer, or None for a model without one.
        assignment_bias: whether the soft assignment has a bias (NetVLAD "v2").
        preprocess: from a photo to the input tensor.
    """

    backbone: str
    clusters: int
    dim: int | None
    preprocess: Preprocess
    assignment_bias: bool = False

    @property
    def channels(self) -> int:
        """D, of the local features."""
        return backbone_spec(self.backbone).channels

    @property
    def descriptor_dim(self) -> int:
        """Values of one descriptor: N, or K * D without whitening."""
        return self.dim or self.clusters * self.channels

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "preprocess": self.preprocess.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelConfig:
        return cls(**{**value, "preprocess": Preprocess.from_json(value["preprocess"])})


def unit_length(x: Tensor, dim: int = 1) -> Tensor:
    """``torch.nn.functional.normalize`` in three ops a program can run, without its ``expand``."""
    return x / torch.linalg.vector_norm(x, dim=dim, keepdim=True).clamp_min(1e-12)


class NetVlad(nn.Module):
    """Soft-assigned residuals to K cluster centres (CVPR 2016, eq. 4), intra-normalised, flattened, unit length.

    Input float32 [B, D, H, W], any scale; output float32 [B, K * D], index ``k * D + d``.
    """

    def __init__(self, clusters: int, channels: int, *, bias: bool = False):
        super().__init__()
        self.assignment = nn.Conv2d(channels, clusters, 1, bias=bias)
        self.centroids = nn.Parameter(torch.rand(clusters, channels))

    def forward(self, x: Tensor) -> Tensor:
        x = unit_length(x, dim=1)
        weights = self.assignment(x).flatten(2).softmax(dim=1)  # [B, K, H * W]
        sums = weights @ x.flatten(2).transpose(1, 2)  # [B, K, D]
        vlad = sums - weights.sum(dim=2, keepdim=True) * self.centroids
        vlad = unit_length(vlad, dim=2)
        return unit_length(vlad.flatten(1), dim=1)


class PlaceModel(nn.Module):
    """float32 [B, 3, H, W], preprocessed -> unit descriptors float32 [B, N]."""

    whitening: nn.Linear | None

    def __init__(self, config: ModelConfig, backbone: nn.Sequential | None = None):
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config.backbone) if backbone is None else backbone
        self.pool = NetVlad(config.clusters, config.channels, bias=config.assignment_bias)
        columns = config.clusters * config.channels
        if config.dim:  # filled by a fit or a file: the default initialisation of 134M weights takes seconds
            self.whitening = nn.utils.skip_init(nn.Linear, columns, config.dim)
            nn.init.zeros_(self.whitening.weight)
            nn.init.zeros_(self.whitening.bias)
        else:
            self.whitening = None

    def forward(self, x: Tensor) -> Tensor:
        return self.describe_features(self.backbone(x))

    def describe_features(self, features: Tensor) -> Tensor:
        """The backbone's output, float32 [B, D, H', W'] -> unit descriptors float32 [B, N]."""
        vlad = self.pool(features)
        if self.whitening is None:
            return vlad
        return unit_length(self.whitening(vlad), dim=1)


def save_model(
    out: Path | str, model: PlaceModel, made_from: Mapping[str, Any], *, force: bool = False
) -> None:
    """Write ``model.safetensors``: the state dict, the configuration and what the model was made from."""
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    config = model.config.to_json()
    info = {
        "config": config,
        "fingerprint": artifact.tensors_fingerprint(tensors, config),
        "made_from": dict(made_from),
    }
    artifact.save_tensors(out, KIND, tensors, info, force=force)


def load_model(path: Path | str) -> PlaceModel:
    """Read a model written by :func:`save_model`, in eval mode.

    Raises:
        ArtifactError: not a model file, or its tensors do not fit its configuration.
    """
    tensors, info = artifact.load_tensors(path, KIND)
    model = PlaceModel(ModelConfig.from_json(info["config"]))
    state = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise ArtifactError(f"{path} does not fit its own configuration", found=str(error)) from error
    return model.eval()

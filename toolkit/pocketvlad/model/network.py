"""A network = backbone + head, and an optional PCA whitening behind them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pocketvlad import artifact
from pocketvlad.errors import ArtifactError, PocketvladError, RecipeError
from pocketvlad.model.backbones import backbone_spec, empty_backbone
from pocketvlad.model.heads import head_class
from pocketvlad.model.heads.base import Head, HeadOptions, options_from_json, options_to_json
from pocketvlad.model.heads.netvlad import NetVladOptions
from pocketvlad.model.kinds import MODEL
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.model.roles import CONVOLUTION, LINEAR, PROJECTION
from pocketvlad.model.unit import unit_length

KIND = MODEL
FORMAT_OF_OLD = "clusters"  # a key of configurations before heads had options of their own


@dataclass(frozen=True)
class NetworkConfig:
    """What a network is made of, apart from its weights.

    Attributes:
        backbone: a key of :data:`pocketvlad.model.backbones.BACKBONES`.
        preprocess: from a photo to the input tensor.
        head: a key of :data:`pocketvlad.model.heads.HEADS`.
        options: the head's.
        dim: N, rows of the whitening layer, or None for a network without one.
        last_activation: whether the backbone keeps what follows its last layer: the activation of a convolution, the
            norm of a transformer.
    """

    backbone: str
    preprocess: Preprocess
    head: str = "netvlad"
    options: HeadOptions = field(default_factory=NetVladOptions)
    dim: int | None = None
    last_activation: bool = False

    @property
    def channels(self) -> int:
        """D, of the local features."""
        return backbone_spec(self.backbone).channels

    @property
    def describes(self) -> bool:
        """Whether it gives descriptors of places; else scores."""
        return head_class(self.head).describes

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input."""
        return self.preprocess.height, self.preprocess.width

    def check_size(self) -> None:
        """Raises RecipeError for an input size that the backbone or the head cannot take."""
        spec = backbone_spec(self.backbone)
        spec.check_size(*self.size)
        head_class(self.head).check_size(self.options, *self.size, spec.stride)

    def check_dim(self, dim: int | None) -> None:
        """Raises RecipeError for more dimensions than a whitening could be fitted to have; None: they are free."""
        with torch.device("meta"):
            most = head_class(self.head)(self.channels, self.options).outputs
        if dim is not None and dim > most:
            raise RecipeError(
                "dim of a whitening is not allowed",
                found=dim,
                allowed=f"1 to {most}, the values that the head gives",
            )

    def to_json(self) -> dict[str, Any]:
        return {
            "backbone": self.backbone,
            "last_activation": self.last_activation,
            "head": options_to_json(self.head, self.options),
            "dim": self.dim,
            "preprocess": self.preprocess.to_json(),
        }

    @classmethod
    def from_json(cls, value: object) -> NetworkConfig:
        """The inverse of :meth:`to_json`.

        Raises:
            ArtifactError: it is no configuration of this version.
        """
        if not isinstance(value, Mapping):
            raise ArtifactError(
                "the file does not say what its network is", found=f"{type(value).__name__} for it"
            )
        if FORMAT_OF_OLD in value or "network" in value:
            raise ArtifactError("the file is of an older pocketvlad", do="make it again from its source")
        try:
            head = value["head"]
            options = options_from_json(head_class(head["name"]), head)
            preprocess = Preprocess.from_json(value["preprocess"])
            return cls(
                value["backbone"], preprocess, head["name"], options, value["dim"], value["last_activation"]
            )
        except (KeyError, TypeError) as error:
            raise ArtifactError(
                "the file does not say what its network is", found=what_misses(error)
            ) from error


class Network(nn.Module):
    """float32 [B, 3, H, W], preprocessed -> unit descriptors float32 [B, N], or scores [B, C]."""

    head: Head
    whitening: nn.Linear | None

    def __init__(
        self, config: NetworkConfig, backbone: nn.Module, head: Head, whitening: nn.Linear | None = None
    ):
        super().__init__()
        self.config, self.backbone, self.head, self.whitening = config, backbone, head, whitening

    @classmethod
    def empty(cls, config: NetworkConfig, backbone: nn.Module | None = None) -> Network:
        """The network without values (meta device), in eval mode; ``backbone`` takes the place of an empty one.

        Raises:
            CheckpointError: an unknown backbone or head.
            RecipeError: an input size they cannot take.
        """
        config.check_size()
        kind = head_class(config.head)
        kept = config.last_activation or not kind.describes
        with torch.device("meta"):
            head = kind(config.channels, config.options)
            whitening = nn.Linear(head.outputs, config.dim) if config.dim else None
        if backbone is None:
            backbone = empty_backbone(config.backbone, last_activation=kept, size=config.size)
        return cls(config, backbone, head, whitening).eval()

    @property
    def outputs(self) -> int:
        """N, values of a descriptor, or C, scores."""
        return self.config.dim or self.head.outputs

    def forward(self, x: Tensor) -> Tensor:
        return self.from_features(self.backbone(x))

    def from_features(self, features: Tensor) -> Tensor:
        """The backbone's output, float32 [B, D, H', W'] -> descriptors or scores."""
        found = self.head(features)
        return found if self.whitening is None else unit_length(self.whitening(found), dim=1)

    def roles(self) -> dict[str, str]:
        """What each convolution and linear layer is for, by its name, in the order they are registered."""
        kinds = {
            name: CONVOLUTION for name, m in self.named_modules() if isinstance(m, (nn.Conv1d, nn.Conv2d))
        }
        kinds = {
            name: kinds.get(name, LINEAR)
            for name, module in self.named_modules()
            if name in kinds or isinstance(module, nn.Linear)
        }
        # a backbone of convolutions alone need not say
        said: dict[str, str] = getattr(self.backbone, "roles", dict)()
        roles = {id(self.backbone.get_submodule(name)): role for name, role in said.items()}
        roles |= {id(self.head.get_submodule(name)): role for name, role in self.head.roles().items()}
        if self.whitening is not None:
            roles[id(self.whitening)] = PROJECTION
        return {name: roles.get(id(self.get_submodule(name)), role) for name, role in kinds.items()}

    def constants(self) -> tuple[str, ...]:
        """Names of the parameters that are stored as int8 rows."""
        prefix = next(f"{name}." for name, module in self.named_children() if module is self.head)
        return tuple(f"{prefix}{name}" for name in self.head.constants())

    def parts(self) -> list[tuple[str, nn.Module]]:
        """The modules a photo passes one after the other, each with the prefix of its layers' names."""
        return [
            ("", nn.Sequential(OrderedDict({name: module})))
            if isinstance(module, nn.Linear)
            else (f"{name}.", module)
            for name, module in self.named_children()
        ]


def save_model(out: Path | str, model: Network, made_from: Mapping[str, Any], *, force: bool = False) -> None:
    """Write ``model.safetensors``: the state dict, the configuration and what the model was made from."""
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    config = model.config.to_json()
    info = {
        "config": config,
        "fingerprint": artifact.tensors_fingerprint(tensors, config),
        "made_from": dict(made_from),
    }
    artifact.save_tensors(out, KIND, tensors, info, force=force)


def what_misses(error: Exception) -> str:
    """Of a file's description, in words: a key that is not there names itself alone."""
    return f"no key {error}" if isinstance(error, KeyError) else str(error)


def load_model(path: Path | str) -> Network:
    """Read a model written by :func:`save_model`, in eval mode.

    Raises:
        ArtifactError: not a model file, its tensors do not fit its configuration, or their bytes have changed.
    """
    tensors, info = artifact.load_tensors(path, KIND)
    try:
        model = Network.empty(NetworkConfig.from_json(info["config"]))
        model.load_state_dict({name: torch.from_numpy(each) for name, each in tensors.items()}, assign=True)
    except (
        RuntimeError,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        OverflowError,
        PocketvladError,
    ) as error:
        raise ArtifactError(f"{path} does not fit its own configuration", found=what_misses(error)) from error
    artifact.require_intact(path, tensors, info["config"], info)
    return model.requires_grad_(True).eval()

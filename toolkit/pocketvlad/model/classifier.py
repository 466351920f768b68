"""Plain torchvision classifiers, batch norm folded: what else the compression can be tried on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from pocketvlad import artifact
from pocketvlad.errors import ArtifactError, CheckpointError
from pocketvlad.model.backbones import fold_batch_norm, keep_inputs
from pocketvlad.model.preprocess import Preprocess

KIND = "classifier"
NAMES = ("alexnet", "vgg16", "squeezenet1_1", "mobilenet_v2", "resnet18")
CLASSIFIER_INPUT = Preprocess(224, 224)
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class ClassifierConfig:
    """What a classifier is, apart from its weights.

    Attributes:
        network: torchvision's name, one of :data:`NAMES`.
        classes: of its scores.
        preprocess: from the central square of a photo to the input tensor.
    """

    network: str
    classes: int
    preprocess: Preprocess = CLASSIFIER_INPUT

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "preprocess": self.preprocess.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ClassifierConfig:
        return cls(**{**value, "preprocess": Preprocess.from_json(value["preprocess"])})


class Classifier(nn.Module):
    """float32 [B, 3, H, W], preprocessed -> scores float32 [B, classes]; layers keep torchvision's names."""

    def __init__(self, config: ClassifierConfig, network: nn.Module | None = None):
        """``network`` with batch norm folded; None: one without values, for weights to be assigned."""
        super().__init__()
        self.config = config
        self.network = empty_network(config) if network is None else network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


def empty_network(config: ClassifierConfig) -> nn.Module:
    """torchvision's network with batch norm folded, on the meta device.

    Raises:
        CheckpointError: another network.
    """
    return _folded(_plain_network(config))


def _plain_network(config: ClassifierConfig) -> nn.Module:
    if config.network not in NAMES:
        raise CheckpointError("unknown classifier", found=repr(config.network), allowed=", ".join(NAMES))
    with torch.device("meta"):
        return getattr(torchvision.models, config.network)(weights=None, num_classes=config.classes).eval()


def _folded(network: nn.Module) -> nn.Module:
    with torch.no_grad():
        fold_batch_norm(network)
    return keep_inputs(network)


def classifier_from_weights(config: ClassifierConfig, weights: Mapping[str, Tensor]) -> Classifier:
    """A classifier in eval mode from a whole torchvision state dict, batch counters apart.

    Raises:
        CheckpointError: keys are missing or have other shapes.
    """
    network = _plain_network(config)
    unused = torch.zeros((), dtype=torch.int64)
    counters = {key: unused for key in network.state_dict() if key.endswith(_COUNTER)}
    try:
        network.load_state_dict({**weights, **counters}, assign=True)
    except RuntimeError as error:
        raise CheckpointError(
            f"the weights are not those of the classifier {config.network}", found=str(error)
        ) from error
    return Classifier(config, _folded(network)).eval()


def save_classifier(
    out: Path | str, classifier: Classifier, made_from: Mapping[str, Any], *, force: bool = False
) -> None:
    """Write a classifier file: its folded weights, the configuration and what it was made from."""
    tensors = {
        name: tensor.detach().cpu().numpy() for name, tensor in classifier.network.state_dict().items()
    }
    config = classifier.config.to_json()
    info = {
        "config": config,
        "fingerprint": artifact.tensors_fingerprint(tensors, config),
        "made_from": dict(made_from),
    }
    artifact.save_tensors(out, KIND, tensors, info, force=force)


def load_classifier(path: Path | str) -> Classifier:
    """Read a file of :func:`save_classifier`, in eval mode.

    Raises:
        ArtifactError: not such a file, or its tensors do not fit its configuration.
    """
    tensors, info = artifact.load_tensors(path, KIND)
    try:
        classifier = Classifier(ClassifierConfig.from_json(info["config"]))
        state = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
        classifier.network.load_state_dict(state, assign=True)
    except (KeyError, TypeError, RuntimeError) as error:
        raise ArtifactError(f"{path} does not fit its own configuration", found=str(error)) from error
    return classifier.eval()

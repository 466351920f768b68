"""A compressed classifier: every convolution and linear layer as codes and codebook, post-training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocketvlad import artifact
from pocketvlad.compress.compressed import describe_layers, layer_tensors, read_layers
from pocketvlad.compress.post_training import Progress, compress_layers
from pocketvlad.compress.recipe import Recipe, load_recipe
from pocketvlad.errors import ArtifactError, KernelError, RecipeError
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.classifier import Classifier, ClassifierConfig

COMPRESSED_KIND = "compressed-classifier"


@dataclass(frozen=True, eq=False)
class CompressedClassifier:
    """What compression makes of a :class:`Classifier`.

    Attributes:
        config: of the classifier.
        layers: weights by torchvision's module names.
        biases: float32 [O] by the same names, for layers that have one.
        recipe: the recipe as JSON.
    """

    config: ClassifierConfig
    layers: Mapping[str, LutTensor]
    biases: Mapping[str, np.ndarray]
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def to_torch(self) -> Classifier:
        """The classifier with dequantized weights, in eval mode: the ``exact`` semantics of the kernels."""
        classifier = Classifier(self.config)
        state = {f"{name}.weight": torch.from_numpy(lut.dequantize()) for name, lut in self.layers.items()}
        state |= {f"{name}.bias": torch.from_numpy(bias.copy()) for name, bias in self.biases.items()}
        classifier.network.load_state_dict(state, assign=True)
        return classifier.eval()

    def tensors(self) -> dict[str, np.ndarray]:
        """Every array as it lies in the file; the packed bytes are those of the program."""
        return layer_tensors(self.layers, self.biases)


def compress_classifier(
    classifier: Classifier, recipe: Recipe, *, progress: Progress | None = None
) -> CompressedClassifier:
    """Compress every layer by its weights alone.

    Args:
        classifier: the uncompressed one; left as it is.
        recipe: options by layer name; one that calibrates on photos gives way to its ``without_photos``.
        progress: called with weights done and weights in all.

    Raises:
        RecipeError: the recipe fine-tunes, or calibrates and names no recipe without photos.
    """
    if recipe.needs_photos and recipe.without_photos is not None:
        recipe = load_recipe(recipe.without_photos)
    if recipe.needs_photos or recipe.needs_labels:
        raise RecipeError(
            f"recipe {recipe.name} learns from photos of places",
            allowed="for a classifier, recipes of the weights alone such as paper-8bit",
        )
    layers, biases = compress_layers(classifier.network, recipe, progress=progress)
    return CompressedClassifier(classifier.config, layers, biases, asdict(recipe))


def save_compressed_classifier(
    out: Path | str, compressed: CompressedClassifier, made_from: Mapping[str, Any], *, force: bool = False
) -> None:
    """Write a compressed classifier: layers as in ``compressed.safetensors``, under a kind of its own."""
    tensors = compressed.tensors()
    identity = {"config": compressed.config.to_json(), "layers": describe_layers(compressed.layers)}
    info = {
        **identity,
        "recipe": dict(compressed.recipe),
        "fingerprint": artifact.tensors_fingerprint(tensors, identity),
        "made_from": dict(made_from),
    }
    artifact.save_tensors(out, COMPRESSED_KIND, tensors, info, force=force)


def load_compressed_classifier(path: Path | str) -> CompressedClassifier:
    """Read a file of :func:`save_compressed_classifier`.

    Raises:
        ArtifactError: not such a file, or its tensors do not fit its description.
    """
    tensors, info = artifact.load_tensors(path, COMPRESSED_KIND)
    try:
        layers, biases = read_layers(tensors, info["layers"])
        return CompressedClassifier(
            ClassifierConfig.from_json(info["config"]), layers, biases, info["recipe"]
        )
    except (KeyError, TypeError, ValueError, IndexError, KernelError) as error:
        raise ArtifactError(f"{path} does not fit its own description", found=str(error)) from error

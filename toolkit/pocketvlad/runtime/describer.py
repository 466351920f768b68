"""One way to describe photos with a model, a compressed model or a program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pocketvlad import artifact
from pocketvlad.compress.compressed import CompressedModel, load_compressed
from pocketvlad.errors import ArtifactError
from pocketvlad.model.netvlad import PlaceModel, load_model
from pocketvlad.model.preprocess import Preprocess, photo_tensor
from pocketvlad.runtime.runner import ProgramRunner


@dataclass(frozen=True)
class Describer:
    """Something that turns a photo into a descriptor.

    Attributes:
        describe: path -> unit descriptor float32 [dim]; PhotoError when the photo cannot be read.
        preprocess: from the photo to the input.
        dim: of a descriptor.
        fingerprint: 32 bytes for an index; a torch model's are the hash of its tensors.
        kind: ``model``, ``compressed`` or ``program``.
    """

    describe: Callable[[Path], np.ndarray]
    preprocess: Preprocess
    dim: int
    fingerprint: bytes
    kind: str


def open_model(path: Path | str) -> PlaceModel | CompressedModel:
    """A model or compressed model, whichever the file is."""
    kind = artifact.load_info(path)["kind"]
    if kind == "model":
        return load_model(path)
    if kind == "compressed":
        return load_compressed(path)
    raise ArtifactError(f"{path} holds no model", found=f"a {kind} file", allowed="model or compressed")


def open_describer(path: Path | str, *, threads: int | None = None) -> Describer:
    """A describer from ``model.safetensors``, ``compressed.safetensors`` or ``model.pte``."""
    if Path(path).suffix == ".pte":
        runner = ProgramRunner(path, threads=threads)
        info = runner.info
        if info.classes is not None:
            raise ArtifactError(
                f"{path} is a classifier and describes no places", do="measure it with `pocketvlad evaluate`"
            )
        return Describer(runner.describe, info.preprocess, info.dim, info.fingerprint, "program")
    model = open_model(path)
    kind = "compressed" if isinstance(model, CompressedModel) else "model"
    fingerprint = bytes.fromhex(artifact.load_info(path)["fingerprint"])
    return torch_describer(model, fingerprint, kind)


def torch_describer(model: PlaceModel | CompressedModel, fingerprint: bytes, kind: str) -> Describer:
    """A describer over a torch model in memory."""
    module = model.to_torch() if isinstance(model, CompressedModel) else model.eval()
    config = model.config

    def describe(path: Path) -> np.ndarray:
        with torch.inference_mode():
            tensor = torch.from_numpy(photo_tensor(path, config.preprocess))
            return module(tensor[None])[0].numpy()

    return Describer(describe, config.preprocess, config.descriptor_dim, fingerprint, kind)

"""One way to run a model, a compressed model or a program on a photo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pocketvlad import artifact
from pocketvlad.errors import ArtifactError
from pocketvlad.model.kinds import COMPRESSED, MODEL, kind_of_model
from pocketvlad.model.preprocess import DecodedPhoto, Preprocess, photo_tensor
from pocketvlad.runtime.runner import ProgramRunner

if TYPE_CHECKING:
    from pocketvlad.compress.compressed import Compressed
    from pocketvlad.model.network import Network

PROGRAM = "program"


@dataclass(frozen=True)
class Describer:
    """Something that turns a photo into a descriptor, or into scores.

    Attributes:
        describe: path or pixels -> unit descriptor float32 [dim], or scores; PhotoError when it cannot be read.
        preprocess: from the photo to the input.
        dim: values of the output.
        fingerprint: 32 bytes for an index; a torch model's are the hash of its tensors.
        kind: ``model``, ``compressed`` or ``program``.
        classes: of a classifier's scores; None where it describes places.
    """

    describe: Callable[[Path | DecodedPhoto], np.ndarray]
    preprocess: Preprocess
    dim: int
    fingerprint: bytes
    kind: str
    classes: int | None = None

    @property
    def several(self) -> bool:
        """Whether it may be called from several threads; a program has one memory."""
        return self.kind != PROGRAM


def open_describer(path: Path | str, *, threads: int | None = None) -> Describer:
    """A describer from ``model.safetensors``, ``compressed.safetensors`` or ``model.pte``.

    Raises:
        ArtifactError: the file is none of them, or damaged.
    """
    if Path(path).suffix == ".pte":
        return program_describer(ProgramRunner(path, threads=threads))
    kind_of_model(path)
    from pocketvlad.compress.compressed import open_model  # torch, which a program does without

    model = open_model(path)
    try:
        fingerprint = bytes.fromhex(artifact.load_info(path)["fingerprint"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} has no fingerprint", found=str(error), do="make it again") from error
    return torch_describer(model, fingerprint)


def program_describer(runner: ProgramRunner) -> Describer:
    """A describer over a loaded program."""
    info = runner.info
    return Describer(
        runner.describe, runner.preprocess, info.dim, info.fingerprint, PROGRAM, classes=info.classes
    )


def torch_describer(model: Network | Compressed, fingerprint: bytes = b"") -> Describer:
    """A describer over a torch model in memory."""
    import torch

    from pocketvlad.compress.compressed import Compressed

    compressed = isinstance(model, Compressed)
    module: Any = model.to_torch() if isinstance(model, Compressed) else model.eval()
    preprocess = model.config.preprocess

    def describe(photo: Path | DecodedPhoto) -> np.ndarray:
        with torch.inference_mode():
            tensor = torch.from_numpy(photo_tensor(photo, preprocess))
            return module(tensor[None])[0].numpy()

    classes = None if model.config.describes else module.outputs
    kind = COMPRESSED if compressed else MODEL
    return Describer(describe, preprocess, module.outputs, fingerprint, kind, classes)


def describer_of(model: ProgramRunner | Network | Compressed | str | Path) -> Describer:
    """A describer of what is open already, or of a file."""
    if isinstance(model, ProgramRunner):
        return program_describer(model)
    if isinstance(model, (str, Path)):
        return open_describer(model)
    return torch_describer(model)


def require_places(describer: Describer, path: Path | str) -> Describer:
    """ArtifactError for a classifier, which describes no places."""
    if describer.classes is not None:
        raise ArtifactError(f"{path} is a classifier and describes no places", do="evaluate it")
    return describer

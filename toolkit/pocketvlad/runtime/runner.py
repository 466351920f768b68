"""Runs a program (.pte) of ours on this machine: photos, camera frames or arrays in, descriptors out. Without torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad.core.program import LoadedProgram, set_threads
from pocketvlad.errors import ArtifactError, PocketvladError
from pocketvlad.lut import contract
from pocketvlad.model.frames import RGB, decoded_frame
from pocketvlad.model.preprocess import DecodedPhoto, Preprocess, photo_tensor
from pocketvlad.runtime.sealed import check_program
from pocketvlad.schema import parse_json

_FINGERPRINT_BYTES = 32


@dataclass(frozen=True)
class ProgramInfo:
    """What a program says of itself.

    Attributes:
        preprocess: from a photo to its input; None for a program of a module whose inputs are no photos.
        dim: of its descriptors, or values of its first output.
        fingerprint: 32 bytes that name the describing model; an index carries the same.
        details: JSON written at export, for people and reports.
    """

    preprocess: Preprocess | None
    dim: int
    fingerprint: bytes
    details: dict[str, Any]

    @property
    def classes(self) -> int | None:
        """Of a classifier's scores; None for a program that describes places."""
        return self.details.get("config", {}).get("head", {}).get("classes")

    @property
    def convolutions(self) -> str | None:
        """What computes the convolutions, ``lut``, ``lut-int8`` or ``int8``; None where no choice was written."""
        return self.details.get("convolutions")

    @property
    def convolutions_ms(self) -> dict[str, float]:
        """Medians of the backbone by kind, of the machine that exported, where the choice was measured."""
        return dict(self.details.get("convolutions_ms", {}))


class ProgramRunner:
    """A loaded program. Several threads may call it; they take turns.

    Attributes:
        path: its file.
        sealed: whether it carries the seal of `export`, so that its weights are those that were written.
    """

    def __init__(self, path: Path | str, *, threads: int | None = None):
        """Load ``path``; the packed weights stay in the file mapping.

        Args:
            path: of the program.
            threads: of all programs of this process from now on; None: as they are.

        Raises:
            ArtifactError: not a program, damaged, or not one of ours.
        """
        self.path = Path(path)
        self.sealed = check_program(self.path)
        if threads is not None:
            set_threads(threads)
        self._program = LoadedProgram(path)
        if not {"forward", "pv_dim"} <= set(self._program.methods()):
            raise ArtifactError(f"{path} is not a program of pocketvlad", do="run `pocketvlad export`")
        made_for = self.info.details.get("ops")
        if made_for != contract.VERSION:
            raise ArtifactError(
                f"{path} was exported for other lookup ops",
                found=f"version {made_for}",
                allowed=f"version {contract.VERSION}",
                do="export it again",
            )

    @cached_property
    def info(self) -> ProgramInfo:
        """What the program says of itself.

        Raises:
            ArtifactError: it says it in no way we know.
        """
        try:
            details = parse_json(self._constant("pv_info").tobytes())
            (dim,), fingerprint = (
                self._constant("pv_dim").tolist(),
                self._constant("pv_fingerprint").tobytes(),
            )
            if not isinstance(details, dict) or len(fingerprint) != _FINGERPRINT_BYTES:
                raise ValueError("its information or fingerprint is damaged")
            return ProgramInfo(self._preprocess(), int(dim), fingerprint, details)
        except (ValueError, TypeError, KeyError, PocketvladError) as error:
            raise ArtifactError(
                f"{self.path} does not say how it wants to be used", found=str(error), do="export it again"
            ) from error

    def _preprocess(self) -> Preprocess | None:
        names = self._program.methods()
        if "pv_image_size" not in names:
            return None
        height, width = (int(v) for v in self._constant("pv_image_size"))
        mean, std = (self._constant(name).tolist() for name in ("pv_mean", "pv_std"))
        upright = "pv_upright" not in names or bool(self._constant("pv_upright")[0])
        said = {"height": height, "width": width, "mean": mean, "std": std, "upright": upright}
        return Preprocess.from_json(said)

    @property
    def preprocess(self) -> Preprocess:
        """From a photo to its input.

        Raises:
            ArtifactError: its inputs are no photos.
        """
        if self.info.preprocess is None:
            raise ArtifactError(f"{self.path} takes no photos", do="call it with arrays")
        return self.info.preprocess

    def _constant(self, name: str) -> np.ndarray:
        return self._program.run(method=name)

    def __call__(self, *inputs: Any, order: str = RGB) -> np.ndarray:
        """The first output of one input.

        Args:
            inputs: a photo: its path, or an upright frame, uint8 [H, W, 3] or grey [H, W], of any size; or what the
                program itself takes: float [3, h, w], preprocessed, of its input's size, or for a program of a
                module one array per argument, a batch of 1.
            order: of a frame's colours, ``rgb`` or ``bgr`` (OpenCV's).

        Returns:
            float32: the unit descriptor [dim], scores [classes], or a module's output as it comes.

        Raises:
            PhotoError: the photo cannot be read, or the array is neither a frame nor a preprocessed photo.
            ArtifactError: inputs that a module's program does not take.
        """
        if self.info.preprocess is None:
            return self.run(*inputs)
        (photo,) = inputs
        if isinstance(photo, DecodedPhoto):
            return self.describe(photo)
        if isinstance(photo, (str, Path)):
            return self.describe(Path(photo))
        pixels = np.asarray(photo)
        if pixels.shape == self._preprocessed and pixels.dtype in (np.float32, np.float64):
            return self.describe_tensor(np.ascontiguousarray(pixels, np.float32))
        return self.describe(decoded_frame(pixels, order))

    @property
    def _preprocessed(self) -> tuple[int, int, int]:
        return 3, self.preprocess.height, self.preprocess.width

    def describe(self, photo: DecodedPhoto | Path) -> np.ndarray:
        """One photo -> unit descriptor float32 [dim].

        Raises:
            PhotoError: the photo cannot be read.
        """
        return self.describe_tensor(photo_tensor(photo, self.preprocess))

    def run(self, *inputs: Any) -> np.ndarray:
        """The program's inputs as they are, arrays or tensors -> its first output.

        Raises:
            ArtifactError: inputs of another number, type or shape.
        """
        return self._program.run(inputs)

    def describe_tensor(self, tensor: np.ndarray) -> np.ndarray:
        """A preprocessed photo, float32 [3, H, W] -> unit descriptor float32 [dim]."""
        return self._program.run((np.asarray(tensor)[None],))[0]

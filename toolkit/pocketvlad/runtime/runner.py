"""Runs a program (.pte) on this machine through ExecuTorch's own runtime, memory-mapped."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocketvlad.core.native import register_executorch_ops
from pocketvlad.errors import ArtifactError, PocketvladError
from pocketvlad.lut import ops
from pocketvlad.model.preprocess import DecodedPhoto, Preprocess, photo_tensor
from pocketvlad.runtime.sealed import check_program

_FINGERPRINT_BYTES = 32


@contextlib.contextmanager
def quiet_runtime() -> Iterator[None]:
    """The runtime logs its start and every change of threads to file descriptor 2; a user needs neither."""
    sys.stderr.flush()
    kept = os.dup(2)
    silence = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silence, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silence)


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
        """What computes the convolutions, ``lut`` or ``int8``; None where no choice was written."""
        return self.details.get("convolutions")

    @property
    def convolutions_ms(self) -> dict[str, float]:
        """Medians of the backbone by kind, of the machine that exported, where the choice was measured."""
        return dict(self.details.get("convolutions_ms", {}))


class ProgramRunner:
    """A loaded program. Not thread-safe: ExecuTorch's memory plan belongs to one call at a time.

    Attributes:
        path: its file.
        sealed: whether it carries the seal of `export`, so that its weights are those that were written.
    """

    def __init__(self, path: Path | str, *, threads: int | None = None):
        """Load ``path``; the packed weights stay in the file mapping.

        Raises:
            ArtifactError: not a program, damaged, or not one of ours.
        """
        self.path = Path(path)
        self.sealed = check_program(self.path)
        with quiet_runtime():
            from executorch.extension.pybindings import portable_lib

        with quiet_runtime():
            register_executorch_ops()
            if threads is not None:
                portable_lib._unsafe_reset_threadpool(threads)
            portable_lib._threadpool_get_thread_count()  # makes the pool, which logs, now
        try:
            with quiet_runtime():
                self._module = portable_lib._load_for_executorch(str(self.path))
                methods = self._module.method_names()
        except RuntimeError as error:
            raise ArtifactError(f"{path} is not a program this runtime can load", found=str(error)) from error
        if "forward" not in methods or "pv_dim" not in methods:
            raise ArtifactError(f"{path} is not a program of pocketvlad", do="run `pocketvlad export`")
        made_for = self.info.details.get("ops")
        if made_for != ops.VERSION:
            raise ArtifactError(
                f"{path} was exported for other lookup ops",
                found=f"version {made_for}",
                allowed=f"version {ops.VERSION}",
                do="export it again",
            )

    @cached_property
    def info(self) -> ProgramInfo:
        """What the program says of itself.

        Raises:
            ArtifactError: it says it in no way we know.
        """
        try:
            details = json.loads(self._constant("pv_info").tobytes())
            (dim,), fingerprint = (
                self._constant("pv_dim").tolist(),
                self._constant("pv_fingerprint").tobytes(),
            )
            if not isinstance(details, dict) or len(fingerprint) != _FINGERPRINT_BYTES:
                raise ValueError("its information or fingerprint is damaged")
            return ProgramInfo(self._preprocess(), int(dim), fingerprint, details)
        except (ValueError, TypeError, KeyError, RecursionError, PocketvladError) as error:
            raise ArtifactError(
                f"{self.path} does not say how it wants to be used", found=str(error), do="export it again"
            ) from error

    def _preprocess(self) -> Preprocess | None:
        names = self._module.method_names()
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
        return self._outputs(name)[0].numpy()

    def _outputs(self, method: str, *inputs: torch.Tensor) -> Sequence[torch.Tensor]:
        try:
            return self._module.run_method(method, inputs)
        except RuntimeError as error:
            raise ArtifactError(
                f"{self.path} cannot be run by this runtime",
                found=f"in {method}: {str(error).splitlines()[0]}",
            ) from error

    def __call__(self, *inputs: Any) -> np.ndarray:
        """The first output of one input.

        Args:
            inputs: a photo: its path, or pixels uint8 [H, W, 3] (RGB, upright); or what the program itself takes:
                float32 [3, H, W], preprocessed, or for a program of a module one array per argument, a batch of 1.

        Returns:
            float32: the unit descriptor [dim], scores [classes], or a module's output as it comes.

        Raises:
            PhotoError: the photo cannot be read.
        """
        if self.info.preprocess is None:
            return self.run(*inputs)
        (photo,) = inputs
        if isinstance(photo, np.ndarray) and photo.dtype == np.uint8:
            return self.describe(DecodedPhoto(photo, 1))
        if isinstance(photo, np.ndarray):
            return self.describe_tensor(np.ascontiguousarray(photo, np.float32))
        return self.describe(photo if isinstance(photo, DecodedPhoto) else Path(photo))

    def describe(self, photo: DecodedPhoto | Path) -> np.ndarray:
        """One photo -> unit descriptor float32 [dim].

        Raises:
            PhotoError: the photo cannot be read.
        """
        return self.describe_tensor(photo_tensor(photo, self.preprocess))

    def run(self, *inputs: np.ndarray | torch.Tensor) -> np.ndarray:
        """The program's inputs as they are -> its first output."""
        tensors = tuple(torch.as_tensor(each) for each in inputs)
        return self._outputs("forward", *tensors)[0].numpy().copy()

    def describe_tensor(self, tensor: np.ndarray) -> np.ndarray:
        """A preprocessed photo, float32 [3, H, W] -> unit descriptor float32 [dim]."""
        return self._outputs("forward", torch.from_numpy(tensor)[None])[0].numpy()[0].copy()

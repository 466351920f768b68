"""Checkpoint files -> plain dictionaries of tensors. Nothing is ever unpickled beyond tensors and numbers."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pocketvlad.errors import CheckpointError

_CONTAINERS = ("state_dict", "model_state_dict")
_NUMPY_SCALARS = [
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8")),
    np._core.multiarray.scalar,
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),
]


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict inside a ``.safetensors``, ``.pth``, ``.pt`` or ``.tar`` file, containers opened.

    Raises:
        CheckpointError: missing, truncated, not a checkpoint, or one that would run code when loaded.
    """
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} does not exist")
    loaded = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for key in _CONTAINERS:
        if isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    tensors = {key: value for key, value in loaded.items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"checkpoint {path} holds no tensors", found=", ".join(map(str, list(loaded)[:5])))
    return {key.replace("module.", ""): value.float() for key, value in tensors.items()}


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"checkpoint {path} is damaged", found=str(error)) from error


def _read_torch(path: Path) -> dict[str, Any]:
    head = path.read_bytes()[:64]
    if head.startswith(b"version https://git-lfs") or head.lstrip().startswith(b"<"):
        kind = "a Git LFS pointer" if head.startswith(b"version") else "a web page"
        raise CheckpointError(f"checkpoint {path} is not the file itself", found=kind, do="download it again")
    try:
        with torch.serialization.safe_globals(_NUMPY_SCALARS):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"checkpoint {path} would run code when loaded, so it was not",
            found=_unsafe_name(error),
            allowed="tensors, numbers and containers",
        ) from error
    except (RuntimeError, EOFError, OSError, zipfile.BadZipFile, ValueError, KeyError) as error:
        raise CheckpointError(f"checkpoint {path} is damaged", found=str(error).splitlines()[0]) from error
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"checkpoint {path} holds no state dict", found=type(loaded).__name__)
    return dict(loaded)


def _unsafe_name(error: Exception) -> str:
    for line in str(error).splitlines():
        if "GLOBAL" in line or "global" in line:
            return line.strip()[:160]
    return "an unreadable pickle"

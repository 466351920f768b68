"""Checkpoint files -> plain dictionaries of tensors. Nothing is ever unpickled beyond tensors and numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pocketvlad.errors import CheckpointError
from pocketvlad.importer.matlab import is_mat, read_mat
from pocketvlad.importer.unsupported import code_refused, table_refused

# what training loops put weights under; of a teacher and a student the teacher is the one to use
_CONTAINERS = (
    "state_dict",
    "model_state_dict",
    "teacher",
    "ema",
    "model_ema",
    "model",
    "net",
    "network",
    "module",
    "weights",
)
_WRAPPERS = ("module", "_orig_mod")  # DataParallel's and torch.compile's own names in the middle of a key
_OUTER = ("model.", "net.", "network.", "state_dict.")  # of every key of a model inside a training module
_LFS_POINTER = b"version https://git-lfs"
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"  # torch.save's two formats
_CODE = re.compile(r"unsupported (?:global|class)\W+(?:GLOBAL )?([\w.]+)", re.IGNORECASE)
# Beside tensors old checkpoints keep numpy numbers (best recall, epoch) and arrays of them (recalls).
_NUMPY_SCALAR = np.float64(0).__reduce__()[0]
_NUMPY_ARRAY = np.zeros(0).__reduce__()[0]
_NUMPY_NUMBERS: list[Any] = [
    np.dtype,
    np.ndarray,
    *(type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "u1", "b1")),
    *((_NUMPY_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *((_NUMPY_ARRAY, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
]


def read_content(path: Path) -> dict[str, Any]:
    """What a checkpoint holds: tensors by key, or the variables of a ``.mat`` file.

    Raises:
        CheckpointError: missing, truncated, not a checkpoint, or one that would run code when loaded.
    """
    head = _head(path)
    return read_mat(path) if is_mat(head) else read_checkpoint(path)


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict inside a ``.safetensors``, ``.pth``, ``.pt`` or ``.tar`` file, containers opened.

    Keys lose ``module.``; numbers become float32, integers stay.

    Raises:
        CheckpointError: missing, truncated, not a checkpoint, or one that would run code when loaded.
    """
    head = _head(path)
    if head[8:9] == b"{":  # a length in 8 bytes, then a JSON object
        loaded = _read_safetensors(path)
    elif head.startswith((_ZIP, _PICKLE)):
        loaded = _read_torch(path)
    else:
        allowed = ".safetensors, or what torch.save writes"
        raise CheckpointError(f"{path} is not a checkpoint", found=f"bytes {head[:8]!r}", allowed=allowed)
    loaded = _opened(loaded)
    tensors = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}
    if not tensors:
        found = ", ".join(map(str, list(loaded)[:5])) or "nothing"
        raise CheckpointError(f"checkpoint {path} holds no tensors", found=found)
    return {key: _plain_tensor(path, key, value) for key, value in _plain_keys(path, tensors).items()}


def _opened(loaded: dict[str, Any]) -> dict[str, Any]:
    """The innermost container."""
    inner = next((loaded[key] for key in _CONTAINERS if _holds_more(loaded.get(key))), None)
    return loaded if inner is None else _opened(dict(inner))


def _holds_more(value: Any) -> bool:
    """Whether it is a container of tensors or of others, and not, say, options under the name ``model``."""
    return isinstance(value, Mapping) and any(isinstance(each, (Tensor, Mapping)) for each in value.values())


def _head(path: Path) -> bytes:
    """The first bytes; refuses what is no checkpoint at all."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError as error:
        raise CheckpointError(f"checkpoint {path} does not exist") from error
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read", found=error.strerror) from error
    if not head:
        raise CheckpointError(f"checkpoint {path} is empty", do="download it again")
    if head.startswith(_LFS_POINTER):
        found = "a Git LFS pointer"
        raise CheckpointError(
            f"checkpoint {path} is not the file itself", found=found, do="run `git lfs pull`"
        )
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        raise CheckpointError(
            f"checkpoint {path} is not the file itself", found="a web page", do="download it again"
        )
    return head


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError, OSError) as error:
        raise CheckpointError(f"checkpoint {path} is damaged", found=_first_sentence(error)) from error


def _read_torch(path: Path) -> dict[str, Any]:
    try:
        with torch.serialization.safe_globals(_NUMPY_NUMBERS):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file may raise anything
        code = _code_named(error)
        if code:
            raise code_refused(path, code) from error
        found = _first_sentence(error)
        raise CheckpointError(f"checkpoint {path} is damaged or not a checkpoint", found=found) from error
    if isinstance(loaded, Tensor):
        raise table_refused(path, loaded)
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"checkpoint {path} holds no state dict", found=type(loaded).__name__)
    return dict(loaded)


def _code_named(error: Exception) -> str | None:
    """The function or class a pickle asked for, if that is why torch refused it."""
    match = _CODE.search(str(error))
    return match[1] if match else None


def _first_sentence(error: Exception) -> str:
    """The part of torch's long messages that says what happened."""
    text = str(error).partition("WeightsUnpickler error: ")[2] or str(error)
    return re.split(r"[.:]\s|\n", text.strip())[0][:120] or type(error).__name__


def _plain_keys(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the names of wrappers; CheckpointError where two keys become one."""
    found: dict[str, Tensor] = {}
    for key, value in tensors.items():
        plain = ".".join(part for part in key.split(".") if part not in _WRAPPERS)
        if plain in found:
            raise CheckpointError(
                f"checkpoint {path} has {plain!r} twice",
                found=f"{key!r} and another, with and without {' or '.join(_WRAPPERS)}",
                do="save the weights of one of the two models alone",
            )
        found[plain] = value
    outer = next((each for each in _OUTER if all(key.startswith(each) for key in found)), "")
    return {key.removeprefix(outer): value for key, value in found.items()}


def _plain_tensor(path: Path, key: str, value: Tensor) -> Tensor:
    if value.layout is not torch.strided or value.is_quantized or value.is_complex():
        kind = str(value.dtype if value.layout is torch.strided else value.layout)
        raise CheckpointError(
            f"{key!r} in checkpoint {path} is not plain numbers", found=kind.removeprefix("torch.")
        )
    if not value.is_floating_point():
        return value
    value = value.float()  # a float64 may be too large for it
    if not torch.isfinite(value).all():
        raise CheckpointError(f"{key!r} in checkpoint {path} is damaged", found="numbers that are not finite")
    return value

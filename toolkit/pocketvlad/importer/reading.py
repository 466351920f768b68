"""Checkpoint files -> plain dictionaries of tensors. Nothing is ever unpickled beyond tensors and numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pocketvlad.errors import CheckpointError
from pocketvlad.importer.arrays import NUMPY
from pocketvlad.importer.containers import WRAPPERS, opened, plain_names
from pocketvlad.importer.files import (
    ZIP,
    are_arrays,
    first_sentence,
    head_of,
    is_safetensors,
    require_pickle,
)
from pocketvlad.importer.matlab import read_mat
from pocketvlad.importer.matlab5 import is_mat
from pocketvlad.importer.unsupported import code_refused, table_refused

_COUNT = "n_averaged"  # ends the key of how many models torch's AveragedModel is the mean of
_CODE = re.compile(r"unsupported (?:global|class)\W+(?:GLOBAL )?([\w.]+)", re.IGNORECASE)
# Beside tensors checkpoints keep numpy numbers (best recall, epoch), strings (arch) and arrays of them (recalls).
_NUMPY: list[Any] = [(stands_in, name) for name, stands_in in NUMPY.items()]


@dataclass(frozen=True)
class Content:
    """What a checkpoint holds.

    Attributes:
        values: tensors by key, or the variables of a ``.mat`` file.
        notes: what was left out of it, a line each.
    """

    values: dict[str, Any]
    notes: tuple[str, ...] = ()


def read_content(path: Path) -> Content:
    """What a checkpoint of any format holds.

    Raises:
        CheckpointError: missing, truncated, not a checkpoint, or one that would run code when loaded.
    """
    return Content(read_mat(path)) if is_mat(head_of(path)) else read_state(path)


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict of :func:`read_state` alone."""
    return read_state(path).values


def read_state(path: Path) -> Content:
    """The state dict inside a ``.safetensors``, ``.pth``, ``.pt`` or ``.tar`` file, containers opened.

    Keys lose ``module.``; numbers become float32, integers stay.

    Raises:
        CheckpointError: missing, truncated, not a checkpoint, or one that would run code when loaded.
    """
    loaded, notes = opened(_loaded(path), (Tensor, np.ndarray))
    tensors = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)} or {
        str(key): _tensor_of(value) for key, value in loaded.items() if _is_numbers(value)
    }
    tensors = {key: value for key, value in tensors.items() if key.split(".")[-1] != _COUNT}
    if not tensors:
        found = ", ".join(map(str, list(loaded)[:5])) or "nothing"
        raise CheckpointError(f"checkpoint {path} holds no tensors", found=found)
    plain = _plain_keys(path, tensors)
    return Content({key: _plain_tensor(path, key, value) for key, value in plain.items()}, notes)


def _loaded(path: Path) -> dict[str, Any]:
    """What the file holds, containers closed."""
    head = head_of(path)
    if is_safetensors(head):
        return _read_safetensors(path)
    if not head.startswith(ZIP):
        require_pickle(path, head)
    elif are_arrays(path):
        return _read_arrays(path)
    return _read_torch(path)


def _is_numbers(value: Any) -> bool:
    """Whether it is an array that may be a layer's; names and booleans are none."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and value.dtype.itemsize <= 8


def _tensor_of(array: np.ndarray) -> Tensor:
    """Of an array of either byte order."""
    return torch.from_numpy(np.ascontiguousarray(array, array.dtype.newbyteorder("=")))


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError, OSError) as error:
        raise CheckpointError(f"checkpoint {path} is damaged", found=first_sentence(error)) from error


def _read_arrays(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except Exception as error:  # a damaged file may raise anything
        raise CheckpointError(f"checkpoint {path} is damaged", found=first_sentence(error)) from error


def _read_torch(path: Path) -> dict[str, Any]:
    try:
        with torch.serialization.safe_globals(_NUMPY):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file may raise anything
        code = _code_named(error)
        if code:
            raise code_refused(path, code) from error
        found = first_sentence(error)
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


def _plain_keys(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the names of wrappers; CheckpointError where two keys become one."""
    found: dict[str, Tensor] = {}
    names = plain_names(tensors)
    for key, value in tensors.items():
        if names[key] in found:
            raise CheckpointError(
                f"checkpoint {path} has {names[key]!r} twice",
                found=f"{key!r} and another, with and without {' or '.join(WRAPPERS)}",
                do="save the weights of one of the two models alone",
            )
        found[names[key]] = value
    return found


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

"""What training loops put weights under, and which of several models in a file is the one to use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEACHERS = ("teacher", "ema", "model_ema", "state_dict_ema", "ema_state_dict")  # or a student's running mean
_OTHERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "student")
CONTAINERS = (*_TEACHERS, *_OTHERS)  # the first that holds weights is read
_DEPTH = 3  # of containers inside one another


def opened(loaded: Mapping[str, Any], kinds: tuple[type[Any], ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The innermost container of arrays, and a note where there were several to choose from.

    Args:
        loaded: what a file holds.
        kinds: of arrays; the first that any container holds decides.
    """
    inner, notes = dict(loaded), list[str]()
    for _ in range(_DEPTH):
        names = next(filter(None, (_holding(inner, kind) for kind in kinds)), [])
        if not names:
            break
        taken, *left = names
        if left:
            others = " and ".join(map(repr, left))
            notes.append(f"the checkpoint holds several sets of weights: {taken!r} was taken, {others} not")
        inner = dict(inner[taken])
    return inner, tuple(notes)


def _holding(content: Mapping[str, Any], kind: type[Any], depth: int = _DEPTH) -> list[str]:
    """The containers in it that hold arrays of a kind, themselves or in containers of their own."""
    return [name for name in CONTAINERS if depth and _holds(content.get(name), kind, depth)]


def _holds(value: Any, kind: type[Any], depth: int) -> bool:
    """Not so for options under the name ``model``, or the decay alone under ``ema``."""
    if not isinstance(value, Mapping):
        return False
    arrays = any(isinstance(each, kind) and each.ndim for each in value.values())
    return arrays or bool(_holding(value, kind, depth - 1))

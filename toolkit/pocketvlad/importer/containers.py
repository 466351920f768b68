"""What training loops put weights under, and which of several models in a file is the one to use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_TEACHERS = (
    "teacher",
    "ema",
    "model_ema",
    "state_dict_ema",
    "ema_state_dict",
    "shadow",
)  # or a student's running mean
_OTHERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "student")
CONTAINERS = (*_TEACHERS, *_OTHERS)  # the first that holds weights is read
_DEPTH = 3  # of containers inside one another
WRAPPERS = ("module", "_orig_mod")  # DataParallel's and torch.compile's own names in the middle of a key
_OUTER = ("model.", "net.", "network.", "state_dict.")  # of every key of a model inside a training module
_STATISTICS = ("running_mean", "running_var")  # of a batch norm: no parameters, so a mean of these has none


def opened(loaded: Mapping[str, Any], kinds: tuple[type[Any], ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The innermost container of arrays, and a note where there were several to choose from.

    A running mean of a network's parameters gets the batch norms' statistics of the network beside it.

    Args:
        loaded: what a file holds.
        kinds: of arrays; the first that any container holds decides.
    """
    inner, choices = _innermost(loaded, kinds)
    notes, taken = list[str](), dict(inner)
    for name, left in choices:
        others = " and ".join(map(repr, left))
        notes.append(f"the checkpoint holds several sets of weights: {name!r} was taken, {others} not")
        for other, content in left.items():
            found = _statistics(taken, _innermost(content, kinds)[0])
            if found:
                taken |= found
                notes.append(f"{name!r} has no batch-norm statistics: those of {other!r} were taken")
    return taken, tuple(notes)


def plain_names(keys: Iterable[str]) -> dict[str, str]:
    """Each key without the names of wrappers, nor of what all of them lie in."""
    names = {key: ".".join(part for part in key.split(".") if part not in WRAPPERS) for key in keys}
    outer = next((each for each in _OUTER if all(name.startswith(each) for name in names.values())), "")
    return {key: name.removeprefix(outer) for key, name in names.items()}


def _innermost(
    loaded: Mapping[str, Any], kinds: tuple[type[Any], ...]
) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """The innermost container of arrays, and on the way there each name that was chosen with what was left."""
    inner, choices = dict(loaded), list[tuple[str, dict[str, Any]]]()
    for _ in range(_DEPTH):
        names = next(filter(None, (_holding(inner, kind) for kind in kinds)), [])
        if not names:
            break
        taken, *left = names
        if left:
            choices.append((taken, {name: inner[name] for name in left}))
        inner = dict(inner[taken])
    return inner, choices


def _statistics(taken: Mapping[str, Any], beside: Mapping[str, Any]) -> dict[str, Any]:
    """Those of batch norms that ``taken`` lacks and another set of weights of the same network has, by taken's keys."""
    shapes, others = (
        {str(key): tuple(each.shape) for key, each in content.items() if getattr(each, "ndim", 0)}
        for content in (taken, beside)
    )
    names, theirs = plain_names(shapes), {name: key for key, name in plain_names(others).items()}
    found = {}
    for key, name in names.items():
        (module, _, last), (own, _, _) = name.rpartition("."), key.rpartition(".")
        for statistic in _STATISTICS if last == "weight" else ():
            other = theirs.get(f"{module}.{statistic}")
            if other and f"{own}.{statistic}" not in shapes and others[other] == shapes[key]:
                found[f"{own}.{statistic}"] = beside[other]
    return found


def _holding(content: Mapping[str, Any], kind: type[Any], depth: int = _DEPTH) -> list[str]:
    """The containers in it that hold arrays of a kind, themselves or in containers of their own."""
    return [name for name in CONTAINERS if depth and _holds(content.get(name), kind, depth)]


def _holds(value: Any, kind: type[Any], depth: int) -> bool:
    """Not so for options under the name ``model``, or the decay alone under ``ema``."""
    if not isinstance(value, Mapping):
        return False
    arrays = any(isinstance(each, kind) and each.ndim for each in value.values())
    return arrays or bool(_holding(value, kind, depth - 1))

"""What an importer returns, and the checks they share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from pocketvlad.errors import CheckpointError
from pocketvlad.model.network import Network

Tensors = Mapping[str, Tensor]
Shape = tuple[int | None, ...]  # None: any length
_NAMED = 3  # differences spelled out in an error
_NEAR = 0.5  # share of a layout's keys that a file must have to be called nearly one


class OtherLayoutError(CheckpointError):
    """The file has too little of a layout to be called nearly one."""


@dataclass(frozen=True)
class BackboneWeights:
    """A torchvision network without a head of ours.

    Attributes:
        name: a key of :data:`pocketvlad.model.backbones.BACKBONES`.
        weights: under torchvision's keys, without batch counters; with the classifier's layers if the file
            has them.
        classes: of the classifier; None when the file holds the features alone.
    """

    name: str
    weights: dict[str, Tensor]
    classes: int | None


@dataclass(frozen=True)
class ImportedModel:
    """What a checkpoint held: a whole model, or a backbone that still needs a fit.

    Attributes:
        model: the network, in eval mode; None for a backbone alone.
        layout: the layout's name for people.
        notes: one line each for the user: what the file left open and what was assumed.
        backbone: set when ``model`` is None.
    """

    model: Network | None
    layout: str
    notes: tuple[str, ...] = ()
    backbone: BackboneWeights | None = None


def require(
    tensors: Tensors,
    layout: str,
    shapes: Mapping[str, Shape],
    optional: Iterable[str] = (),
) -> None:
    """Refuse a file that is nearly ``layout``: exactly these keys with these shapes.

    Args:
        tensors: of the file.
        layout: its name for people.
        shapes: every key that must be there.
        optional: keys that may be there and are not looked at.

    Raises:
        CheckpointError: naming what is missing, of another shape or left over; OtherLayoutError where most is missing.
    """
    found = differences(tensors, shapes)
    extra = [key for key in tensors if key not in shapes and key not in set(optional)]
    found += [f"{key!r}, which {layout} does not have" for key in extra]
    if found:
        count = "1 difference" if len(found) == 1 else f"{len(found)} differences"
        rest = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        said = ", ".join(found[:_NAMED]) + rest
        if sum(key in tensors for key in shapes) < _NEAR * len(shapes):
            raise OtherLayoutError(f"this is not a {layout} checkpoint", found=said)
        raise CheckpointError(f"this is nearly a {layout} checkpoint, with {count}", found=said)


def require_first(tensors: Tensors, layout: str, key: str, shape: Shape, others: str) -> None:
    """Refuse a file without the tensor that says which backbone it has.

    Args:
        tensors: of the file.
        layout: its name for people.
        key: of that tensor.
        shape: wanted.
        others: pattern of how keys of the backbone begin.

    Raises:
        CheckpointError: it is missing or of another shape; OtherLayoutError where the file has none of the backbone.
    """
    if key not in tensors and not any(re.match(others, each) for each in tensors):
        raise OtherLayoutError(f"this is not a {layout} checkpoint", found=f"no {key!r}")
    found = differences(tensors, {key: shape})
    if found:
        raise CheckpointError(f"this is nearly a {layout} checkpoint, with 1 difference", found=found[0])


def differences(tensors: Tensors, shapes: Mapping[str, Shape]) -> list[str]:
    """What is missing or of another shape, in a few words each."""
    found = []
    for key, shape in shapes.items():
        if key not in tensors:
            found.append(f"no {key!r}")
        elif not _fits(tuple(tensors[key].shape), shape):
            found.append(f"{key!r} of shape {shape_text(tensors[key].shape)} instead of {shape_text(shape)}")
    return found


def _fits(found: tuple[int, ...], wanted: Shape) -> bool:
    return len(found) == len(wanted) and all(
        side is None or side == length for side, length in zip(wanted, found, strict=True)
    )


def shape_text(shape: Iterable[int | None]) -> str:
    """``64x512x1x1``; a side that may have any length is ``?``."""
    return "x".join("?" if side is None else str(side) for side in shape) or "scalar"

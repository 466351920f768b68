"""What an importer returns, and the checks they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from pocketvlad.errors import CheckpointError
from pocketvlad.model.network import Network

Tensors = Mapping[str, Tensor]
Shape = tuple[int | None, ...]  # None: any length
_NAMED = 3  # differences spelled out in an error


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
        CheckpointError: naming what is missing, of another shape or left over.
    """
    found = differences(tensors, shapes)
    extra = [key for key in tensors if key not in shapes and key not in set(optional)]
    found += [f"{key!r}, which {layout} does not have" for key in extra]
    if found:
        count = "1 difference" if len(found) == 1 else f"{len(found)} differences"
        rest = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise CheckpointError(
            f"this is nearly a {layout} checkpoint, with {count}",
            found=", ".join(found[:_NAMED]) + rest,
        )


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

"""What an importer returns, and the checks they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from pocketvlad.errors import CheckpointError
from pocketvlad.model.netvlad import PlaceModel

Tensors = Mapping[str, Tensor]
FILTERS_OF_FIRST = {64: {3: "vgg16", 11: "alexnet"}}  # first convolution: output channels, kernel side


@dataclass(frozen=True)
class ImportedModel:
    """A model and the name of the layout it came in; ``notes`` are for the user."""

    model: PlaceModel
    layout: str
    notes: tuple[str, ...] = ()


def require(tensors: Tensors, layout: str, shapes: Mapping[str, tuple[int | None, ...]]) -> None:
    """Refuse a file that is nearly ``layout``: every key there with its shape (None: any length).

    Raises:
        CheckpointError: naming the first key that is missing or differs.
    """
    for key, shape in shapes.items():
        if key not in tensors:
            raise CheckpointError(f"this is nearly a {layout} checkpoint", found=f"no key {key!r}")
        found = tuple(tensors[key].shape)
        if len(found) != len(shape) or any(a is not None and a != b for a, b in zip(shape, found, strict=True)):
            wanted = "x".join("any" if side is None else str(side) for side in shape)
            raise CheckpointError(
                f"this is nearly a {layout} checkpoint",
                found=f"{key!r} of shape {'x'.join(map(str, found))}",
                allowed=wanted,
            )


def backbone_of(first_filter: Tensor, layout: str) -> str:
    """alexnet or vgg16 by the first convolution's shape [O, 3, k, k]."""
    out_channels, _, side, _ = first_filter.shape
    name = FILTERS_OF_FIRST.get(out_channels, {}).get(side)
    if name is None:
        raise CheckpointError(
            f"the backbone of this {layout} checkpoint is unknown",
            found=f"a first convolution of {out_channels} filters {side}x{side}",
            allowed="vgg16 (64 of 3x3) or alexnet (64 of 11x11)",
        )
    return name

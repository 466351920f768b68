"""A checkpoint's values in a backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from pocketvlad.errors import CheckpointError, RecipeError

LARGE_ENOUGH = 64  # pixels a side, for every backbone of convolutions
COUNTER = "num_batches_tracked"  # of a batch norm; nothing needs it


def load_values(network: nn.Module, weights: Mapping[str, Tensor], prefix: str, name: str) -> None:
    """A checkpoint's values for a network on the meta device; ``prefix`` may stand before the checkpoint's keys.

    Raises:
        CheckpointError: keys are missing or have other shapes.
    """
    wanted = network.state_dict()
    found = {key.removeprefix(prefix): value for key, value in weights.items()}
    counters = {key for key in wanted if key.endswith(COUNTER)}
    check_shapes(found, {key: value.shape for key, value in wanted.items() if key not in counters}, name)
    values = {
        key: torch.zeros((), dtype=torch.int64) if key in counters else _float(found[key]) for key in wanted
    }
    network.load_state_dict(values, assign=True)


def check_shapes(found: Mapping[str, Tensor], wanted: Mapping[str, Sequence[int | None]], name: str) -> None:
    """CheckpointError where a key is missing or of another shape; None stands for any length."""
    missing = [key for key in wanted if key not in found]
    wrong = [key for key in wanted if key in found and not _fits(found[key].shape, wanted[key])]
    if missing or wrong:
        problem = f"{len(missing)} missing keys" if missing else f"{len(wrong)} keys of another shape"
        first = (missing or wrong)[0]
        raise CheckpointError(f"the weights are not those of {name}", found=f"{problem}, the first {first!r}")


def _fits(found: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(found) == len(wanted) and all(
        side in (None, length) for side, length in zip(wanted, found, strict=True)
    )


def _float(tensor: Tensor) -> Tensor:
    return tensor.detach().float() if tensor.is_floating_point() else tensor.detach()


def require_locations(features: nn.Module, height: int, width: int) -> None:
    """Raises RecipeError when a photo of this size leaves no location after features on the ``meta`` device."""
    try:
        with torch.no_grad():
            left = features.eval()(torch.zeros(1, 3, height, width, device="meta")).numel()
    except RuntimeError:  # torch's word for an output of no size
        left = 0
    if not left:
        raise RecipeError(
            "the input size is too small for the backbone",
            found=f"{height}x{width}",
            allowed=f"{LARGE_ENOUGH}x{LARGE_ENOUGH} or more fits every one",
        )

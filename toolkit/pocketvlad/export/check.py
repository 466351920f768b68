"""Is the program the model, and can the phone run it?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad.errors import ExportError
from pocketvlad.runtime.operators import phone_operators

_BACKBONE_OPS = ("aten::convolution", "aten::max_pool2d", "aten::cat", "quantized_decomposed::")


def check_operators(operators: Sequence[str]) -> None:
    """Refuse a program that calls an op the phone lacks.

    Raises:
        ExportError: naming the ops.
    """
    missing = [name for name in operators if name not in phone_operators()]
    if missing:
        raise ExportError(
            "the phone runtime cannot run this program", found=f"ops it lacks: {', '.join(missing)}"
        )


def check_delegated(operators: Sequence[str]) -> None:
    """Refuse a program of int8 convolutions if anything of the backbone was left to ops outside XNNPACK.

    Raises:
        ExportError: naming the ops.
    """
    left = [name for name in operators if name.startswith(_BACKBONE_OPS)]
    if left:
        raise ExportError(
            "XNNPACK does not compute this backbone in int8", found=f"ops it leaves: {', '.join(left)}"
        )


def program_cosines(
    describe: Callable[[np.ndarray], np.ndarray], model: nn.Module, photos: Sequence[Tensor]
) -> np.ndarray:
    """Cosine between the program's output and the torch model's, float32 [photos].

    Args:
        describe: the program: float32 [3, H, W] -> float32 [N].
        model: float32 [1, 3, H, W] -> [1, N].
        photos: real photos, preprocessed, float32 [3, H, W] each.
    """
    cosines = []
    with torch.inference_mode():
        for photo in photos:
            expected = model(photo[None])[0]
            found = torch.from_numpy(describe(photo.numpy()))
            cosines.append(float(nn.functional.cosine_similarity(expected, found, dim=0)))
    return np.asarray(cosines, np.float32)


def check_cosines(cosines: np.ndarray, least: float) -> None:
    """Raises ExportError when a photo's cosine is below ``least`` or not a number."""
    worst = float(cosines.min())
    if not worst >= least:
        raise ExportError(
            "the program does not compute what the model does",
            found=f"cosine {worst:.6f} on photo {int(cosines.argmin()) + 1} of {len(cosines)}",
            allowed=f"at least {least}",
        )

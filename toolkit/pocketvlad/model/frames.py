"""Camera frames in memory -> the decoded photo that a file would have been."""

from __future__ import annotations

import numpy as np

from pocketvlad.errors import PhotoError
from pocketvlad.model.preprocess import MIN_SIDE, DecodedPhoto

RGB, BGR = "rgb", "bgr"
ORDERS = (RGB, BGR)
ALLOWED = "uint8 [height, width, 3] in RGB or BGR, or grey [height, width]"


def decoded_frame(pixels: np.ndarray, order: str = RGB) -> DecodedPhoto:
    """An upright frame as a photo.

    Args:
        pixels: uint8 [H, W, 3], or grey [H, W]; of any strides, not kept.
        order: of the colours, ``rgb`` or ``bgr`` (OpenCV's); of a grey frame it means nothing.

    Raises:
        PhotoError: another type or shape, an unknown order, or a side of one pixel.
    """
    if order not in ORDERS:
        raise PhotoError("the order of the colours is unknown", found=repr(order), allowed=", ".join(ORDERS))
    if pixels.dtype != np.uint8:
        do = "scale it to 0 to 255 and convert it to uint8"
        raise PhotoError("a frame has another type", found=_described(pixels), allowed=ALLOWED, do=do)
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise PhotoError("a frame has another shape", found=_described(pixels), allowed=ALLOWED)
    if min(pixels.shape[:2]) < MIN_SIDE:
        raise PhotoError("a frame is too small", found=_described(pixels), allowed="2x2 pixels or more")
    if pixels.ndim == 2:
        return DecodedPhoto(np.repeat(pixels[:, :, None], 3, axis=2), 1)
    return DecodedPhoto(pixels if order == RGB else pixels[:, :, ::-1], 1)


def _described(pixels: np.ndarray) -> str:
    return f"{pixels.dtype} {list(pixels.shape)}"

"""The part of a photo that a dataset's box means."""

from __future__ import annotations

import numpy as np

from pocketvlad.dataset.types import Photo
from pocketvlad.errors import PhotoError
from pocketvlad.model.preprocess import DecodedPhoto, load_photo


def load_region(photo: Photo) -> DecodedPhoto:
    """The pixels of a photo inside its box; the box counts pixels as stored, before EXIF rotation.

    Raises:
        PhotoError: as ``load_photo``, or the box lies outside.
    """
    decoded = load_photo(photo.path)
    if photo.box is None:
        return decoded
    height, width = decoded.pixels.shape[:2]
    corners = np.rint(photo.box).astype(int)
    left, right = np.clip(corners[[0, 2]], 0, width)
    top, bottom = np.clip(corners[[1, 3]], 0, height)
    if right - left < 2 or bottom - top < 2:
        box = ", ".join(f"{value:g}" for value in photo.box)
        raise PhotoError(
            f"the box of {photo.name} is outside its photo", found=box, allowed=f"{width}x{height} pixels"
        )
    return DecodedPhoto(decoded.pixels[top:bottom, left:right], decoded.orientation)

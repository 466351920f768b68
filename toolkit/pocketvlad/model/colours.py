"""Photos of other colour spaces than sRGB (Display P3 of phones, Adobe RGB of cameras) as sRGB.

Android converts when pixels are read from a bitmap; a model must see the same numbers on both sides.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

_LEVELS = np.array(
    [0, 51, 102, 153, 204, 255], np.uint8
)  # of the colours by which a profile is known to be sRGB
_SAME = 2  # of 255: rounding, or sRGB by another maker's numbers


def to_srgb(image: Image.Image) -> Image.Image:
    """An image of colours (RGB, RGBA, a palette) by its embedded profile; as it is if that is missing or damaged.

    Colours outside sRGB are clipped, as Android clips them; alpha stays.
    """
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "P"):
        return image
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            image.mode,
            image.mode,
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # Android, too, takes such a photo for sRGB
    if _changes_nothing(transform, image.mode):
        return image
    return ImageCms.applyTransform(image, transform) or image


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether it is sRGB to sRGB: converted anyway, some values would move by one."""
    colours = np.stack(np.meshgrid(_LEVELS, _LEVELS, _LEVELS), -1).reshape(1, -1, 3)
    grid = Image.fromarray(colours).convert(mode)
    converted = ImageCms.applyTransform(grid, transform)
    change = np.asarray(converted, np.int16)[..., :3] - colours
    return int(np.abs(change).max()) <= _SAME

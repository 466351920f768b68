"""A picture as the app's icon on the launcher."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageOps

from pocketvlad.errors import PackageError
from pocketvlad.model.preprocess import load_photo

LAYER, SHOWN = 432, 288  # pixels of an adaptive icon's layer at four a dp, and of what launchers show of it
_LEAST = 48  # pixels
_ORIENTATION = 274  # EXIF tag


def launcher_icon(path: Path) -> bytes:
    """A layer of an adaptive icon, as PNG: the whole picture, on white, in the part that launchers show.

    They cut a circle or a rounded square out of that part, so that its corners may not be seen.

    Raises:
        PhotoError: no picture.
        PackageError: one of few pixels.
    """
    photo = load_photo(path)
    image = Image.fromarray(photo.pixels)
    if min(image.size) < _LEAST:
        raise PackageError(
            f"{path} is too small for an icon",
            found=f"{image.width}x{image.height} pixels",
            allowed=f"{_LEAST}x{_LEAST} or more; {SHOWN}x{SHOWN} looks best",
        )
    image.getexif()[_ORIENTATION] = photo.orientation
    upright = ImageOps.contain(ImageOps.exif_transpose(image), (SHOWN, SHOWN), Image.Resampling.LANCZOS)
    layer = Image.new("RGB", (LAYER, LAYER), "white")
    layer.paste(upright, ((LAYER - upright.width) // 2, (LAYER - upright.height) // 2))
    buffer = io.BytesIO()
    layer.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()

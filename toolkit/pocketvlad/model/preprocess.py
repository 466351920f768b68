"""The one way from a photo to the model's input, through the C function the phone uses too."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from pocketvlad.errors import PhotoError
from pocketvlad.lut import native

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MAX_PIXELS = 100_000_000  # a larger photo is decoded at a reduced scale, or refused
MIN_SIDE = 2
_ORIENTATION_TAG = 274
PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm"})


@dataclass(frozen=True)
class Preprocess:
    """Input size and normalisation: ``(value / 255 - mean) / std``, photos stretched to height x width."""

    height: int = 480
    width: int = 640
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Preprocess:
        return cls(value["height"], value["width"], tuple(value["mean"]), tuple(value["std"]))


@dataclass(frozen=True, eq=False)
class DecodedPhoto:
    """RGB pixels as stored in the file, uint8 [H, W, 3], and the EXIF orientation 1..8 that makes them upright."""

    pixels: np.ndarray
    orientation: int


def load_photo(path: Path | str) -> DecodedPhoto:
    """Decode a photo: CMYK, palette, grey, alpha and 16-bit become 8-bit RGB; of an animation, the first frame.

    Raises:
        PhotoError: missing, corrupt, truncated, too small, or too large to decode.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decompression bombs are judged by _check_size
            with Image.open(path) as image:
                _check_size(path, image)
                orientation = int(image.getexif().get(_ORIENTATION_TAG, 1) or 1)
                pixels = np.asarray(_to_rgb(image))
    except PhotoError:
        raise
    except FileNotFoundError as error:
        raise PhotoError(f"photo {path} does not exist") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PhotoError(f"photo {path} cannot be decoded", found=_reason(error)) from error
    return DecodedPhoto(pixels, orientation if 1 <= orientation <= 8 else 1)


def _reason(error: Exception) -> str:
    return "no known image format" if isinstance(error, UnidentifiedImageError) else str(error)


def _check_size(path: Path, image: Image.Image) -> None:
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise PhotoError(f"photo {path} is too small", found=f"{width}x{height}", allowed="2x2 pixels or more")
    if width * height > MAX_PIXELS:
        scale = int(np.ceil(np.sqrt(width * height / MAX_PIXELS)))
        image.draft("RGB", (width // scale, height // scale))  # JPEG decodes at 1/2, 1/4 or 1/8
        width, height = image.size
    if width * height > MAX_PIXELS:
        raise PhotoError(
            f"photo {path} is too large",
            found=f"{width * height / 1e6:.0f} megapixels",
            allowed=f"{MAX_PIXELS / 1e6:.0f} megapixels (a JPEG may have 64 times as many)",
        )


def _to_rgb(image: Image.Image) -> Image.Image:
    image.seek(0)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, np.float32)
        largest = 65535.0 if values.max(initial=0) > 255 else 255.0
        return Image.fromarray(np.clip(values * (255 / largest), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        upright = image.convert("RGBA")
        white = Image.new("RGBA", upright.size, "white")
        return Image.alpha_composite(white, upright).convert("RGB")
    return image.convert("RGB")


def photo_tensor(photo: Path | str | DecodedPhoto, preprocess: Preprocess) -> np.ndarray:
    """Photo -> model input, float32 [3, height, width].

    Raises:
        PhotoError: as :func:`load_photo`.
    """
    decoded = photo if isinstance(photo, DecodedPhoto) else load_photo(photo)
    return preprocess_pixels(decoded.pixels, decoded.orientation, preprocess)


def preprocess_pixels(pixels: np.ndarray, orientation: int, preprocess: Preprocess) -> np.ndarray:
    """``pv_preprocess`` of the C core: uint8 [H, W, 3 or 4] -> float32 [3, height, width].

    Raises:
        PhotoError: sizes, channels or orientation the C function refuses.
    """
    pixels = np.ascontiguousarray(pixels, np.uint8)
    height, width, channels = pixels.shape
    out = np.empty((3, preprocess.height, preprocess.width), np.float32)
    triple = ctypes.c_float * 3
    status = native.core().pv_preprocess(
        ctypes.c_void_p(pixels.ctypes.data),
        width,
        height,
        ctypes.c_size_t(width * channels),
        channels,
        orientation,
        preprocess.height,
        preprocess.width,
        triple(*preprocess.mean),
        triple(*preprocess.std),
        ctypes.c_void_p(out.ctypes.data),
    )
    if status:
        raise PhotoError(
            "a photo cannot be preprocessed",
            found=f"{width}x{height}x{channels}, orientation {orientation}, code {status}",
            allowed="3 or 4 channels, orientation 1 to 8",
        )
    return out

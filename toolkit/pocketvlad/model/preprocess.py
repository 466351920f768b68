"""The one way from a photo to the model's input, through the C function the phone uses too."""

from __future__ import annotations

import ctypes
import math
import re
import struct
import sys
import threading
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from pocketvlad.core import native
from pocketvlad.errors import ArtifactError, PhotoError, RecipeError
from pocketvlad.model.colours import to_srgb
from pocketvlad.model.depth import RANGES_16, grey_to_8_bits, to_8_bits

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MAX_PIXELS = 100_000_000  # a larger JPEG is decoded at a reduced scale, anything else is refused
REDUCED_SIDES = 4  # times a model's input that a large JPEG keeps
REDUCED_PIXELS = 25_000_000  # that a JPEG keeps at most
MIN_SIDE = 2  # a photo of one pixel, or one pixel wide, shows no place
MAX_INPUT_SIDE = 16384  # of the C function
PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm"}
)
# By a file's first bytes. Pillow knows others, which start programs (EPS) or decode before the size is known (ICO).
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
_ORIENTATION_TAG = 274
_JPEG = ("JPEG", "MPO")  # of Pillow; phones write MPO
_MOST_REDUCED = 8  # by a JPEG decoder
_NAMED = "JPEG, PNG, WebP, BMP, TIFF, GIF or PPM"
# What Pillow raises on damaged bytes, besides OSError.
DAMAGED = (
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,
    LookupError,
    EOFError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_open_lock = threading.Lock()


@dataclass(frozen=True)
class Preprocess:
    """Input size and normalisation: ``(value / 255 - mean) / std``, photos stretched to height x width.

    ``upright``: whether a photo is turned as its EXIF says, or taken as it is stored.

    Raises:
        RecipeError: a size, mean or std no model can have.
    """

    height: int = 480
    width: int = 640
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    upright: bool = True

    def __post_init__(self) -> None:
        if not all(
            isinstance(side, int) and 1 <= side <= MAX_INPUT_SIDE for side in (self.height, self.width)
        ):
            raise RecipeError(
                "the input size is impossible",
                found=f"{self.height}x{self.width}",
                allowed=f"1 to {MAX_INPUT_SIDE} pixels a side",
            )
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != 3 or not all(math.isfinite(value) for value in values):
                raise RecipeError(
                    f"the {name} of the input is impossible", found=values, allowed="three numbers"
                )
        if min(self.std) <= 0:
            raise RecipeError("the std of the input is impossible", found=self.std, allowed="numbers above 0")

    def to_json(self) -> dict[str, Any]:
        """Without what is as ever: the files of models from before ``upright`` keep their fingerprints."""
        found = asdict(self)
        return found if not self.upright else {key: found[key] for key in found if key != "upright"}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Preprocess:
        """The inverse of :meth:`to_json`.

        Raises:
            ArtifactError: a field is missing or of another type.
        """
        try:
            upright = value.get("upright", True)
            if not isinstance(upright, bool):
                raise TypeError("upright")
            sides = int(value["height"]), int(value["width"])
            return cls(*sides, _triple(value["mean"]), _triple(value["std"]), upright)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ArtifactError(
                "the file does not say how it wants its photos",
                found=repr(value)[:80],
                allowed="height, width, mean and std",
            ) from error


def _triple(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third


@dataclass(frozen=True, eq=False)
class DecodedPhoto:
    """RGB pixels as stored in the file, uint8 [H, W, 3], and the EXIF orientation 1..8 they need."""

    pixels: np.ndarray
    orientation: int


def load_photo(path: Path | str, preprocess: Preprocess | None = None) -> DecodedPhoto:
    """Decode a photo: CMYK, palette, grey, alpha (on white), 16-bit and other colour spaces become 8-bit sRGB.

    16-bit values of which none is over 4095 are taken for those of a 12-bit camera: 4095 is white. Of an
    animation, the first frame. A JPEG of more than MAX_PIXELS is decoded at 1/2, 1/4 or 1/8.

    Args:
        path: of the photo.
        preprocess: of the model that sees it: a large JPEG is decoded smaller, by :func:`jpeg_reduction`.

    Raises:
        PhotoError: missing, corrupt, truncated, too small, or too large to decode.
    """
    path = Path(path)
    try:
        with open_image(path) as image:
            if preprocess is not None and image.format in _JPEG:
                scale = jpeg_reduction(*image.size, preprocess)
                image.draft("RGB", (image.width // scale, image.height // scale))
            _check_size(path, image)
            deep = _deep_rgb(path, image)
            rgb = _to_rgb(image) if deep is None else deep
            return DecodedPhoto(np.asarray(rgb), _orientation(image))
    except FileNotFoundError as error:
        raise PhotoError(f"photo {path} does not exist") from error
    except UnidentifiedImageError as error:
        raise PhotoError(
            f"photo {path} cannot be decoded", found="no known image format", allowed=_NAMED
        ) from error
    except OSError as error:
        raise PhotoError(f"photo {path} cannot be decoded", found=error.strerror or error) from error
    except DAMAGED as error:
        raise PhotoError(
            f"photo {path} cannot be decoded", found=str(error) or type(error).__name__
        ) from error


def jpeg_reduction(width: int, height: int, preprocess: Preprocess) -> int:
    """How many times smaller a JPEG is decoded, on the phone (PhotoReader.reduction) as here: 1, 2, 4 or 8.

    Each side stays at REDUCED_SIDES times the model's input or more, the longer to the longer, but for a photo
    of so many pixels that a phone could not hold it.
    """
    sides = sorted((width, height))
    inputs = sorted((preprocess.height, preprocess.width))
    scale = 1
    while scale < _MOST_REDUCED and (
        width * height > REDUCED_PIXELS * scale**2
        or all(side >= 2 * scale * REDUCED_SIDES * least for side, least in zip(sides, inputs, strict=True))
    ):
        scale *= 2
    return scale


def open_image(path: Path) -> Image.Image:
    """Read a photo's header, Pillow's own size guard off: it refuses what _check_size can reduce."""
    with _open_lock:
        guard, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = guard


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8; 1 where the photo has none, or damaged EXIF, which does not spoil its pixels."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except (OSError, *DAMAGED):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _check_size(path: Path, image: Image.Image) -> None:
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise PhotoError(
            f"photo {path} is too small", found=f"{width}x{height}", allowed="2x2 pixels or more"
        )
    if width * height > MAX_PIXELS:
        scale = 2 ** math.ceil(math.log2(width * height / MAX_PIXELS) / 2)
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
    image = to_srgb(image)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return grey_to_8_bits(image).convert("RGB")
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(white, coloured).convert("RGB")
    return image.convert("RGB")


def _deep_rgb(path: Path, image: Image.Image) -> Image.Image | None:
    """A photo of 16 bits a colour, alpha on white; None for any other.

    Pillow has no such mode and keeps the upper bytes alone. Read a second time as if the bytes stood in the other
    order, the file gives the lower ones.
    """
    tiles = getattr(image, "tile", [])
    raw = {_raw_mode(tile) for tile in tiles if "transparency" not in image.info}
    order = re.fullmatch(r"(RGBA?);16([BLN])", raw.pop()) if len(raw) == 1 else None
    if order is None:
        return None
    native_order = "L" if sys.byteorder == "little" else "B"
    other = "B" if (native_order if order[2] == "N" else order[2]) == "L" else "L"
    again: Any = open_image(path)
    with again:
        again.tile = [_with_raw_mode(tile, f"{order[1]};16{other}") for tile in again.tile]
        values = np.asarray(image).astype(np.uint16)
        values *= 256
        values += np.asarray(again)
    colours = Image.fromarray(to_8_bits(values[..., :3], RANGES_16))
    if order[1] == "RGB":
        return colours
    alpha = Image.fromarray(to_8_bits(values[..., 3], (65535.0,)))
    return Image.composite(colours, Image.new("RGB", colours.size, "white"), alpha)


def _raw_mode(tile: Any) -> str:
    """How Pillow unpacks a tile's bytes: its codec's argument, or the first of several."""
    return str(tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args)


def _with_raw_mode(tile: Any, raw: str) -> Any:
    return tile._replace(args=raw if isinstance(tile.args, str) else (raw, *tile.args[1:]))


def photo_tensor(photo: Path | str | DecodedPhoto | np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """Photo -> model input, float32 [3, height, width], which stays as it is where it was made elsewhere.

    Raises:
        PhotoError: as :func:`load_photo`.
    """
    if isinstance(photo, np.ndarray):
        return photo
    decoded = photo if isinstance(photo, DecodedPhoto) else load_photo(photo, preprocess)
    orientation = decoded.orientation if preprocess.upright else 1
    return preprocess_pixels(decoded.pixels, orientation, preprocess)


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

"""What an index says of a photo beside its descriptor: name, label, position, thumbnail."""

from __future__ import annotations

import io
import math
import struct
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from PIL import ExifTags, Image

from pocketvlad.dataset.types import Photo
from pocketvlad.errors import IndexFormatError, printable
from pocketvlad.index.entries import Entry, join_labels
from pocketvlad.index.names import hashes_of, repeated
from pocketvlad.index.rules import MAX_TEXT
from pocketvlad.model.preprocess import DAMAGED, load_photo, open_image

THUMBNAIL = 160  # pixels, longer side
_QUALITY = 80  # of the JPEG
_POSITION = struct.Struct("<dd")
_GPS = ExifTags.GPS


def make_entry(photo: Photo, thumbnail_px: int = THUMBNAIL) -> Entry:
    """Name, label, position and thumbnail of a readable photo."""
    return entry_of(photo, about_photo(photo, thumbnail_px))


def about_photo(photo: Photo, thumbnail_px: int = THUMBNAIL) -> bytes:
    """What only the file of a readable photo says: its position, two doubles, NaN where it has none; its thumbnail."""
    latitude, longitude = photo.latitude, photo.longitude
    if latitude is None or longitude is None:
        latitude, longitude = exif_position(photo.path) or (math.nan, math.nan)
    return _POSITION.pack(latitude, longitude) + (
        thumbnail(photo.path, thumbnail_px) if thumbnail_px else b""
    )


def entry_of(photo: Photo, about: bytes) -> Entry:
    """The entry of a photo, and of what :func:`about_photo` says of it."""
    position = _POSITION.unpack(about[: _POSITION.size])
    latitude, longitude = (None, None) if math.isnan(position[0]) else position
    return Entry(clean_text(photo.name), label_of(photo), latitude, longitude, about[_POSITION.size :])


def label_of(photo: Photo) -> str:
    """The places it shows, as an index may hold them."""
    return join_labels([clean_text(place) for place in photo.labels])


def clean_text(text: str) -> str:
    """Text as an index may hold it: control characters and bytes that are no text become U+FFFD."""
    return "".join("\ufffd" if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in text)


def require_texts(photos: Sequence[Photo]) -> None:
    """Raises IndexFormatError for names and labels that no index holds, before a photo is described."""
    names = [clean_text(photo.name) for photo in photos]
    for photo, name in zip(photos, names, strict=True):
        for what, text in (("name", name), ("label", label_of(photo))):
            if len(text.encode()) > MAX_TEXT:
                raise IndexFormatError(
                    f"the {what} of photo {photo.path} is too long for an index",
                    found=f"{len(text.encode()):,} bytes",
                    allowed=f"{MAX_TEXT:,} or fewer",
                )
    for name, (one, other, *_) in repeated(hashes_of([names], len(names)), names.__getitem__).items():
        both = f"{printable(photos[one].name)!r} and {printable(photos[other].name)!r}"
        raise IndexFormatError(f"an index would name two photos {name}", found=both, do="rename one")


def thumbnail(path: Path, longer_side: int = THUMBNAIL) -> bytes:
    """JPEG of at most ``longer_side`` pixels on the longer side, upright."""
    decoded = load_photo(path)
    image = Image.fromarray(decoded.pixels)
    turned = _UPRIGHT[decoded.orientation]
    image.thumbnail((longer_side, longer_side))
    upright = image if turned is None else image.transpose(turned)
    buffer = io.BytesIO()
    upright.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


_T = Image.Transpose
_UPRIGHT: dict[int, Image.Transpose | None] = {
    1: None,
    2: _T.FLIP_LEFT_RIGHT,
    3: _T.ROTATE_180,
    4: _T.FLIP_TOP_BOTTOM,
    5: _T.TRANSPOSE,
    6: _T.ROTATE_270,
    7: _T.TRANSVERSE,
    8: _T.ROTATE_90,
}


def exif_position(path: Path) -> tuple[float, float] | None:
    """Latitude and longitude from the photo's EXIF, degrees; None if it has none, or none that makes sense."""
    try:
        with open_image(path) as image:
            gps = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        latitude = _degrees(gps[_GPS.GPSLatitude], gps[_GPS.GPSLatitudeRef], "NORTH", "SOUTH")
        longitude = _degrees(gps[_GPS.GPSLongitude], gps[_GPS.GPSLongitudeRef], "EAST", "WEST")
    except (OSError, *DAMAGED):
        return None
    inside = math.isfinite(latitude + longitude) and abs(latitude) <= 90 and abs(longitude) <= 180
    return (latitude, longitude) if inside else None


def _degrees(parts: tuple, reference: str | bytes, positive: str, negative: str) -> float:
    """Signed degrees; of the two references a word or its first letter will do. ValueError for another."""
    degrees, minutes, seconds = (float(part) for part in parts)
    text = reference.decode("latin1") if isinstance(reference, bytes) else str(reference)
    said = text.strip("\0 \t\r\n").upper()
    if said not in {positive, positive[0], negative, negative[0]}:
        raise ValueError(f"no reference of a position: {text!r}")
    value = degrees + minutes / 60 + seconds / 3600
    return -value if said[0] == negative[0] else value

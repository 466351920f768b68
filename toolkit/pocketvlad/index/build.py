"""An index from photos: described, thumbnailed, labelled."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from pocketvlad.dataset.types import Dataset, Photo
from pocketvlad.errors import IndexFormatError
from pocketvlad.evaluate.describe import describe_photos
from pocketvlad.index.types import Entry, PlaceIndex, encode_vectors
from pocketvlad.model.preprocess import load_photo

THUMBNAIL = 160  # pixels, longer side
_QUALITY = 80
Progress = Callable[[int, int], None]


def build_index(
    describe: Callable[[Path], np.ndarray],
    photos: Dataset,
    fingerprint: bytes,
    *,
    dtype: str = "float16",
    info: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[PlaceIndex, list[str]]:
    """Index every readable photo of a dataset.

    Args:
        describe: path -> unit descriptor float32 [dim].
        photos: with place labels.
        fingerprint: 32 bytes of the describing program.
        dtype: ``float32``, ``float16`` or ``int8``.
        info: provenance.
        progress: called with photos done and in all.

    Returns:
        The index, its threshold suggested from its own places, and one line per photo skipped.
    """
    descriptors, readable, skipped = describe_photos(describe, photos, progress=progress)
    entries = tuple(make_entry(photo) for photo in readable.photos)
    vectors, scales = encode_vectors(descriptors, dtype)
    index = PlaceIndex(vectors, scales, entries, fingerprint, None, dict(info or {}))
    return replace(index, threshold=suggest_threshold(index)), skipped


def add_to_index(index: PlaceIndex, added: PlaceIndex, *, replace_names: bool = False) -> PlaceIndex:
    """Both together; photos of ``added`` take the place of those of the same name if asked.

    Raises:
        IndexFormatError: another model's descriptors, or names that are there already.
    """
    require_fingerprint(index, added.fingerprint, "the photos to add")
    names = {entry.name for entry in added.entries}
    clash = [entry.name for entry in index.entries if entry.name in names]
    if clash and not replace_names:
        raise IndexFormatError(
            f"{len(clash)} photos are in the index already", found=clash[0], do="use --replace"
        )
    kept = [i for i, entry in enumerate(index.entries) if entry.name not in names]
    vectors, scales = encode_vectors(added.descriptors(), index.vectors.dtype.name)
    joined = np.concatenate([index.vectors[kept], vectors])
    factors = None if scales is None or index.scales is None else np.concatenate([index.scales[kept], scales])
    entries = (*(index.entries[i] for i in kept), *added.entries)
    result = PlaceIndex(joined, factors, entries, index.fingerprint, None, index.info)
    return replace(result, threshold=suggest_threshold(result))


def require_fingerprint(index: PlaceIndex, fingerprint: bytes, what: str) -> None:
    """Raises IndexFormatError unless ``what`` was described by the index's own program."""
    if index.fingerprint != fingerprint:
        raise IndexFormatError(
            f"the index belongs to another model than {what}",
            found=fingerprint.hex()[:12],
            allowed=index.fingerprint.hex()[:12],
            do="build the index again with this program",
        )


def suggest_threshold(index: PlaceIndex) -> float | None:
    """The cosine that best tells a known place from an unknown one, by the index's own photos.

    Every photo asks the others twice: with its place there (its best match should be accepted) and with its
    place taken out (its best match should be refused). The threshold maximises the mean of both rates.
    None when no place has two photos or there is only one place.
    """
    descriptors = index.descriptors()
    labels = np.asarray(index.labels())
    known, unknown = [], []
    for row in range(len(index)):
        cosines = descriptors @ descriptors[row]
        same = labels == labels[row]
        if same.all():
            return None
        unknown.append(cosines[~same].max())
        same[row] = False
        if same.any():
            known.append(cosines[same].max())
    if not known:
        return None
    accepted, refused = np.sort(known), np.sort(unknown)
    candidates = np.concatenate([accepted, refused])
    hits = 1 - np.searchsorted(accepted, candidates, side="left") / len(accepted)
    rejections = np.searchsorted(refused, candidates, side="left") / len(refused)
    return float(np.clip(candidates[np.argmax(hits + rejections)], -1, 1))


def make_entry(photo: Photo) -> Entry:
    """Name, label, position and thumbnail of a readable photo."""
    latitude, longitude = photo.latitude, photo.longitude
    if latitude is None or longitude is None:
        latitude, longitude = exif_position(photo.path) or (None, None)
    return Entry(photo.name, photo.place or "", latitude, longitude, thumbnail(photo.path))


def thumbnail(path: Path) -> bytes:
    """JPEG of at most THUMBNAIL pixels on the longer side, upright."""
    decoded = load_photo(path)
    image = Image.fromarray(decoded.pixels)
    turned = _UPRIGHT[decoded.orientation]
    image.thumbnail((THUMBNAIL, THUMBNAIL))
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
    """Latitude and longitude from the photo's EXIF, degrees, or None."""
    with Image.open(path) as image:
        gps = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
    try:
        latitude = _degrees(gps[2]) * (-1 if gps.get(1) == "S" else 1)
        longitude = _degrees(gps[4]) * (-1 if gps.get(3) == "W" else 1)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None  # no position, or one that is not three numbers
    inside = math.isfinite(latitude + longitude) and abs(latitude) <= 90 and abs(longitude) <= 180
    return (latitude, longitude) if inside else None


def _degrees(parts: tuple) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    return degrees + minutes / 60 + seconds / 3600

"""An index from photos: described, thumbnailed, labelled."""

from __future__ import annotations

import io
import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from pocketvlad.dataset.types import Dataset, Photo
from pocketvlad.errors import IndexFormatError
from pocketvlad.evaluate.describe import describe_photos
from pocketvlad.index.types import Entry, PlaceIndex, encode_vectors, join_labels, split_label
from pocketvlad.model.preprocess import DAMAGED, load_photo, open_image

THUMBNAIL = 160  # pixels, longer side
_QUALITY = 80  # of the JPEG
_JUDGES = 2000  # photos at most that ask for a threshold; each is compared with all
_BLOCK = 256  # of them at a time
_GPS = ExifTags.GPS
Progress = Callable[[int, int], None]


def build_index(
    describe: Callable[[Path], np.ndarray],
    photos: Dataset | Sequence[Photo],
    fingerprint: bytes,
    *,
    dtype: str = "float16",
    info: Mapping[str, Any] | None = None,
    thumbnail_px: int = THUMBNAIL,
    progress: Progress | None = None,
) -> tuple[PlaceIndex, list[str]]:
    """Index every readable photo of a map: of a dataset its database, without queries and junk.

    Args:
        describe: path -> unit descriptor float32 [dim].
        photos: with place labels, and positions or none (then EXIF's are taken).
        fingerprint: 32 bytes of the describing program.
        dtype: ``float32``, ``float16`` or ``int8``.
        info: provenance.
        thumbnail_px: longer side of the thumbnails; 0 for none.
        progress: called with photos done and in all.

    Returns:
        The index, its threshold suggested from its own places, and a line for each thing left out.

    Raises:
        PhotoError: no photo could be read.
        DatasetError: a dataset of queries alone.
        ArtifactError: a descriptor that is not finite.
        IndexFormatError: an unknown dtype.
    """
    given = photos.mapped().photos if isinstance(photos, Dataset) else tuple(photos)
    name, lines = (photos.name, photos.skipped) if isinstance(photos, Dataset) else ("the photos", ())
    dataset = Dataset(name, given, (), tuple(range(len(given))), skipped=lines)
    descriptors, readable = describe_photos(describe, dataset, progress=progress)
    entries = tuple(make_entry(photo, thumbnail_px) for photo in readable.photos)
    index = PlaceIndex(*encode_vectors(descriptors, dtype), entries, fingerprint, None, dict(info or {}))
    return replace(index, threshold=suggest_threshold(index)), list(readable.skipped)


def add_to_index(index: PlaceIndex, added: PlaceIndex, *, replace_names: bool = False) -> PlaceIndex:
    """Both together; photos of ``added`` take the place of those of the same name if asked.

    Raises:
        IndexFormatError: another model's descriptors, or names that are there already.
    """
    require_fingerprint(index, added.fingerprint, "the photos to add")
    if index.dim != added.dim:
        raise IndexFormatError("the dimensions differ", found=added.dim, allowed=index.dim)
    names = {entry.name for entry in added.entries}
    clash = [entry.name for entry in index.entries if entry.name in names]
    if clash and not replace_names:
        raise IndexFormatError(
            f"{len(clash)} of these photos are in the index already",
            found=repr(clash[0]),
            do="replace them, or leave them out",
        )
    kept = [i for i, entry in enumerate(index.entries) if entry.name not in names]
    new_vectors, *new_parts = encode_vectors(added.descriptors(), index.vectors.dtype.name)
    vectors = np.concatenate([index.vectors[kept], new_vectors])
    scales, residuals = (
        None if old is None or new is None else np.concatenate([old[kept], new])
        for old, new in zip((index.scales, index.residuals), new_parts, strict=True)
    )
    entries = (*(index.entries[i] for i in kept), *added.entries)
    result = PlaceIndex(vectors, scales, residuals, entries, index.fingerprint, None, index.info)
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

    The threshold maximises the mean of both rates of :func:`judging_matches`, accepted and refused, half way between
    the cosines on its two sides. None when no place has two photos or there is only one place.
    """
    known, unknown = judging_matches(index)
    if not known.size or not unknown.size:
        return None
    accepted, refused = np.sort(known), np.sort(unknown)
    cosines = np.unique(np.concatenate([accepted, refused]))
    candidates = np.concatenate([cosines[:1], (cosines[:-1] + cosines[1:]) / 2])
    hits = 1 - np.searchsorted(accepted, candidates, side="left") / len(accepted)
    rejections = np.searchsorted(refused, candidates, side="left") / len(refused)
    return float(np.clip(candidates[np.argmax(hits + rejections)], -1, 1))


def judging_matches(index: PlaceIndex) -> tuple[np.ndarray, np.ndarray]:
    """Best cosines of the index's own photos where their place is known, and where it is unknown, float32 [n], [m].

    Every photo with a label (of a large index 2,000, evenly spaced) asks the others twice: with its place there (its
    best match should be accepted) and with its place taken out (its best match should be refused).
    """
    labels = index.labels()
    labelled = [row for row, label in enumerate(labels) if label]
    places = place_numbers([labels[row] for row in labelled])
    return _best_matches(index.descriptors()[labelled], places)


def place_numbers(labels: Sequence[str]) -> np.ndarray:
    """Numbers of the places that each label names, int64 [n, most places of a label]; -1 fills the rows."""
    named = [split_label(label) for label in labels]
    number = {place: i for i, place in enumerate(sorted({place for places in named for place in places}))}
    numbers = np.full((len(labels), max(map(len, named), default=0)), -1, np.int64)
    for row, places in zip(numbers, named, strict=True):
        row[: len(places)] = [number[place] for place in places]
    return numbers


def _best_matches(descriptors: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best cosine of each judging photo inside its places and outside them, where there is such a photo."""
    count = len(descriptors)
    judges = np.unique(np.linspace(0, count - 1, min(count, _JUDGES)).astype(np.int64)) if count else ()
    inside, outside = [], []
    for begin in range(0, len(judges), _BLOCK):
        block = judges[begin : begin + _BLOCK]
        cosines = descriptors[block] @ descriptors.T
        same = _share_a_place(places[block], places)
        outside.append(np.where(same, -np.inf, cosines).max(axis=1))
        same[np.arange(len(block)), block] = False
        inside.append(np.where(same, cosines, -np.inf).max(axis=1))
    found = (np.concatenate(part) if part else np.empty(0, np.float32) for part in (inside, outside))
    known, unknown = (part[np.isfinite(part)] for part in found)
    return known, unknown


def _share_a_place(some: np.ndarray, all_places: np.ndarray) -> np.ndarray:
    """bool [s, n], from place numbers int64 [s, m] and [n, m]."""
    same = np.zeros((len(some), len(all_places)), bool)
    for mine in some.T:
        for theirs in all_places.T:
            same |= (mine[:, None] == theirs[None]) & (mine[:, None] >= 0)
    return same


def make_entry(photo: Photo, thumbnail_px: int = THUMBNAIL) -> Entry:
    """Name, label, position and thumbnail of a readable photo."""
    latitude, longitude = photo.latitude, photo.longitude
    if latitude is None or longitude is None:
        latitude, longitude = exif_position(photo.path) or (None, None)
    picture = thumbnail(photo.path, thumbnail_px) if thumbnail_px else b""
    label = join_labels([clean_text(place) for place in photo.labels])
    return Entry(clean_text(photo.name), label, latitude, longitude, picture)


def clean_text(text: str) -> str:
    """Text as an index may hold it: control characters and bytes that are no text become U+FFFD."""
    return "".join("\ufffd" if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in text)


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

"""What the app checks itself with: pictures, and the workstation's own answers for them."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from pocketvlad.android.results import PictureResult
from pocketvlad.errors import PackageError, reason
from pocketvlad.model.preprocess import DecodedPhoto, load_photo
from pocketvlad.schema import parse_json

if TYPE_CHECKING:
    from pocketvlad.index import PlaceIndex
    from pocketvlad.runtime.runner import ProgramRunner

FOLDER, MANIFEST = "assets/selftest", "manifest.json"
FORMAT = 1
COSINE = 0.9999  # least cosine between the phone's and the workstation's descriptor of one picture
LONG_SIDE = 480  # pixels of a picture
TOP = 5  # matches compared
THUMBNAILS = 3  # pictures where no photos are given
ROUNDING = 1e-5  # of a cosine, between two machines with the same descriptor
_LARGEST = float(np.finfo(np.float64).max)  # JSON knows no infinity
_ORIENTATION = 274  # EXIF tag


@dataclass(frozen=True, eq=False)
class Expected:
    """The workstation's answer for one picture.

    Attributes:
        file: of the picture, under FOLDER.
        name: of the photo it was made from.
        descriptor: float64 [dim].
        rows, cosines: of the best matches, best first.
    """

    file: str
    name: str
    descriptor: np.ndarray
    rows: tuple[int, ...]
    cosines: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class SelfTest:
    """A read manifest: one picture or more, and the least cosine that passes."""

    least: float
    pictures: tuple[Expected, ...]


@dataclass(frozen=True, eq=False)
class Answer:
    """Another machine's answer for one picture; milliseconds of each run."""

    descriptor: Sequence[float] | np.ndarray
    rows: Sequence[int]
    cosines: Sequence[float]
    preprocess_ms: Sequence[float]
    inference_ms: Sequence[float]
    search_ms: Sequence[float]


@dataclass(frozen=True)
class Comparison:
    """Another machine's answer for one picture beside the workstation's.

    Attributes:
        cosine, max_difference: of the descriptors; the difference is of one value.
        same_top: the same rows, but for an order that rounding decides.
        reasons: why it does not pass; empty when it does.
    """

    cosine: float
    max_difference: float
    same_top: bool
    reasons: tuple[str, ...]


def build(program: Path, index: Path, photos: Sequence[Path]) -> dict[str, bytes]:
    """The files of ``assets/selftest``: pictures and ``manifest.json``.

    Pictures are stored without loss, so that the phone starts from the very pixels the workstation described.

    Args:
        program: the ``.pte`` of the APK; it answers here.
        index: its ``.pvix``.
        photos: any photos; without any, the first thumbnails of the index.

    Returns:
        File contents by name.

    Raises:
        PhotoError: a photo cannot be read.
        IndexFormatError: the index belongs to another model.
        PackageError: no photos are given, and the index has no thumbnails.
    """
    from pocketvlad.index import open_index, require_fingerprint
    from pocketvlad.runtime.runner import ProgramRunner  # torch: seconds that reading a self-test saves

    runner, places = ProgramRunner(program), open_index(index)
    require_fingerprint(places, runner.info.fingerprint, str(program))
    files: dict[str, bytes] = {}
    pictures = []
    sources = [(photo.name, load_photo(photo)) for photo in photos] or _thumbnails(places)
    if not sources:
        raise PackageError(
            "the self-test has no pictures: no photos are given, and the index has no thumbnails",
            do="give one photo or more for the self-test",
        )
    for number, (shown, photo) in enumerate(sources, 1):
        name, pixels = f"picture-{number:02}.png", _shrunk(photo)
        files[name] = _png(pixels)
        pictures.append({"file": name, "name": shown, **_answer(runner, places, pixels)})
    manifest = {"format": FORMAT, "tolerance": {"cosine": COSINE}, "pictures": pictures}
    files[MANIFEST] = json.dumps(manifest, ensure_ascii=False).encode()
    return files


def _thumbnails(places: PlaceIndex) -> list[tuple[str, DecodedPhoto]]:
    chosen = [entry for entry in places.entries if entry.thumbnail][:THUMBNAILS]
    decoded = [
        np.asarray(Image.open(io.BytesIO(entry.thumbnail), formats=("JPEG",)).convert("RGB"))
        for entry in chosen
    ]
    return [(entry.name, DecodedPhoto(pixels, 1)) for entry, pixels in zip(chosen, decoded, strict=True)]


def _shrunk(photo: DecodedPhoto) -> np.ndarray:
    """Upright, at most LONG_SIDE pixels on the longer side: uint8 [H, W, 3]."""
    image = Image.fromarray(photo.pixels)
    image.getexif()[_ORIENTATION] = photo.orientation
    upright = ImageOps.exif_transpose(image)
    upright.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(upright)


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _answer(runner: ProgramRunner, places: PlaceIndex, pixels: np.ndarray) -> dict[str, Any]:
    from pocketvlad.index import search_index

    descriptor = runner.describe(DecodedPhoto(pixels, 1))
    rows, cosines = search_index(places, descriptor[None], TOP)
    top = [
        {"row": int(row), "name": places.entries[row].name, "cosine": float(cosine)}
        for row, cosine in zip(rows[0], cosines[0], strict=True)
    ]
    shortest = [float(str(value)) for value in descriptor]  # the fewest digits that name a float32
    return {"descriptor": shortest, "top": top}


def read_manifest(apk: Path) -> SelfTest:
    """``assets/selftest/manifest.json`` of an APK.

    Raises:
        PackageError: no APK, or one without a self-test that this version understands, or an empty one.
    """
    try:
        with zipfile.ZipFile(apk) as archive:
            manifest = parse_json(archive.read(f"{FOLDER}/{MANIFEST}"))
        least, pictures = float(manifest["tolerance"]["cosine"]), manifest["pictures"]
        read = tuple(_expected(picture) for picture in pictures)
    except OSError as error:
        raise PackageError(f"{apk} cannot be opened", found=reason(error)) from error
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise PackageError(f"{apk} has no self-test", found=str(error), do="package it again") from error
    if manifest.get("format") != FORMAT or not least <= 1:
        raise PackageError(f"{apk} has no self-test this version understands", do="package it again")
    if not read:
        raise PackageError(
            f"{apk} has a self-test without pictures", do="package it again, with photos for the self-test"
        )
    return SelfTest(least, read)


def _expected(picture: Mapping[str, Any]) -> Expected:
    top, descriptor = picture["top"], np.asarray(picture["descriptor"], np.float64)
    if not top or descriptor.ndim != 1 or not descriptor.size or not picture["file"]:
        raise ValueError("a picture without an answer")
    rows = tuple(int(match["row"]) for match in top)
    cosines = tuple(float(match["cosine"]) for match in top)
    return Expected(str(picture["file"]), str(picture["name"]), descriptor, rows, cosines)


def read_pictures(apk: Path, manifest: SelfTest) -> list[np.ndarray]:
    """The pictures of a manifest, decoded: uint8 [H, W, 4] (RGBX).

    Raises:
        PackageError: one is missing or damaged.
    """
    pictures = []
    try:
        with zipfile.ZipFile(apk) as archive:
            for picture in manifest.pictures:
                data = archive.read(f"{FOLDER}/{picture.file}")
                pictures.append(np.asarray(Image.open(io.BytesIO(data), formats=("PNG",)).convert("RGBA")))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise PackageError(f"{apk} has a damaged self-test", found=str(error)) from error
    return pictures


def judge(manifest: SelfTest, answers: Sequence[Answer]) -> tuple[tuple[PictureResult, ...], tuple[str, ...]]:
    """Every picture's result, and a sentence for each thing that differs.

    Raises:
        PackageError: a descriptor of another length.
    """
    pictures, reasons = [], []
    for expected, answer in zip(manifest.pictures, answers, strict=True):
        found = compare(expected, answer, manifest.least)
        times = (tuple(answer.preprocess_ms), tuple(answer.inference_ms), tuple(answer.search_ms))
        passed = not found.reasons
        pictures.append(
            PictureResult(expected.name, found.cosine, found.max_difference, found.same_top, passed, *times)
        )
        reasons += [f"{expected.name}: {reason}" for reason in found.reasons]
    return tuple(pictures), tuple(reasons)


def compare(expected: Expected, answer: Answer, least: float) -> Comparison:
    """Another machine's answer for one picture beside the workstation's, as the app compares.

    Args:
        expected: the workstation's answer.
        answer: the other machine's.
        least: cosine that passes.

    Raises:
        PackageError: a descriptor of another length.
    """
    ours, theirs = expected.descriptor, np.asarray(answer.descriptor, np.float64)
    if ours.shape != theirs.shape:
        raise PackageError(
            "the self-test is of another model", found=f"{len(theirs)} values", allowed=len(ours)
        )
    norm = np.linalg.norm(ours) * np.linalg.norm(theirs)
    cosine = float(ours @ theirs / norm) if 0 < norm < np.inf else 0.0
    # |a - b| of unit vectors: as much may any cosine with another unit vector change
    slack = math.sqrt(max(0.0, 2 - 2 * cosine)) + ROUNDING
    same = _same_top(expected, answer.rows, answer.cosines, slack)
    reasons = []
    if not cosine >= least:
        reasons.append(f"a cosine of {cosine:.6f}, under {least:.6f}")
    if not same:
        reasons.append(f"rows {list(answer.rows)} instead of {list(expected.rows)}")
    largest = float(np.nan_to_num(np.abs(ours - theirs), nan=_LARGEST, posinf=_LARGEST).max())
    return Comparison(cosine, largest, same, tuple(reasons))


def _same_top(expected: Expected, rows: Sequence[int], cosines: Sequence[float], slack: float) -> bool:
    """Whether another row stands only where its cosine equals the expected one's to within ``slack``."""
    if len(rows) != len(expected.rows) or len(set(rows)) != len(rows):
        return False
    known = dict(zip(expected.rows, expected.cosines, strict=True))
    for row, cosine, ours, at in zip(rows, cosines, expected.rows, expected.cosines, strict=True):
        own = known.get(row, min(cosine, expected.cosines[-1]))  # a row outside the top is no better than it
        if row != ours and not max(abs(cosine - at), abs(cosine - own)) <= slack:
            return False
    return True

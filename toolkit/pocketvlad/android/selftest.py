"""What the app checks itself with: pictures, and the workstation's own answers for them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from pocketvlad.errors import PackageError
from pocketvlad.model.preprocess import DecodedPhoto, load_photo

if TYPE_CHECKING:
    from pocketvlad.index import PlaceIndex
    from pocketvlad.runtime.runner import ProgramRunner

FOLDER, MANIFEST = "assets/selftest", "manifest.json"
FORMAT = 1
COSINE = 0.9999  # least cosine between the phone's and the workstation's descriptor of one picture
LONG_SIDE = 480  # pixels of a picture
TOP = 5  # matches compared
THUMBNAILS = 3  # pictures where no photos are given
_LARGEST = float(np.finfo(np.float64).max)  # JSON knows no infinity
_ORIENTATION = 274  # EXIF tag


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
    """
    from pocketvlad.index import open_index, require_fingerprint
    from pocketvlad.runtime.runner import ProgramRunner  # torch: seconds that reading a self-test saves

    runner, places = ProgramRunner(program), open_index(index)
    require_fingerprint(places, runner.info.fingerprint, str(program))
    files: dict[str, bytes] = {}
    pictures = []
    sources = [(photo.name, load_photo(photo)) for photo in photos] or _thumbnails(places)
    for number, (shown, photo) in enumerate(sources, 1):
        name, pixels = f"picture-{number:02}.png", _shrunk(photo)
        files[name] = _png(pixels)
        pictures.append({"file": name, "name": shown, **_answer(runner, places, pixels)})
    manifest = {"format": FORMAT, "tolerance": {"cosine": COSINE}, "pictures": pictures}
    files[MANIFEST] = json.dumps(manifest, ensure_ascii=False).encode()
    return files


def _thumbnails(places: PlaceIndex) -> list[tuple[str, DecodedPhoto]]:
    chosen = [entry for entry in places.entries if entry.thumbnail][:THUMBNAILS]
    decoded = [np.asarray(Image.open(io.BytesIO(entry.thumbnail)).convert("RGB")) for entry in chosen]
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
    return {"descriptor": [float(value) for value in descriptor], "top": top}


def read_manifest(apk: Path) -> dict[str, Any]:
    """``assets/selftest/manifest.json`` of an APK.

    Raises:
        PackageError: no APK, or one without a self-test that this version understands.
    """
    try:
        with zipfile.ZipFile(apk) as archive:
            manifest = json.loads(archive.read(f"{FOLDER}/{MANIFEST}"))
        known = manifest["format"] == FORMAT and float(manifest["tolerance"]["cosine"]) <= 1
        complete = all(len(p["top"]) and len(p["descriptor"]) and p["file"] for p in manifest["pictures"])
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise PackageError(f"{apk} has no self-test", found=str(error), do="package it again") from error
    if not known or not complete or not manifest["pictures"]:
        raise PackageError(f"{apk} has no self-test this version understands", do="package it again")
    return manifest


def read_pictures(apk: Path, manifest: Mapping[str, Any]) -> list[np.ndarray]:
    """The pictures of a manifest, decoded: uint8 [H, W, 4] (RGBX).

    Raises:
        PackageError: one is missing or damaged.
    """
    pictures = []
    try:
        with zipfile.ZipFile(apk) as archive:
            for picture in manifest["pictures"]:
                data = archive.read(f"{FOLDER}/{picture['file']}")
                pictures.append(np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise PackageError(f"{apk} has a damaged self-test", found=str(error)) from error
    return pictures


def compare(
    expected: Mapping[str, Any], descriptor: Sequence[float], rows: Sequence[int], least: float
) -> dict[str, Any]:
    """Another machine's answer for one picture beside the workstation's.

    Args:
        expected: the picture's entry of the manifest.
        descriptor, rows: what the other machine found.
        least: cosine that passes.

    Returns:
        ``name``, ``cosine``, ``max_difference`` (of one descriptor value), ``same_top``, ``passed``.
    """
    ours = np.asarray(expected["descriptor"], np.float64)
    theirs = np.asarray(descriptor, np.float64)
    if ours.shape != theirs.shape:
        raise PackageError(
            "the self-test is of another model", found=f"{len(theirs)} values", allowed=len(ours)
        )
    norm = np.linalg.norm(ours) * np.linalg.norm(theirs)
    cosine = float(ours @ theirs / norm) if 0 < norm < np.inf else 0.0
    same = list(rows) == [match["row"] for match in expected["top"]]
    return {
        "name": expected["name"],
        "cosine": cosine,
        "max_difference": float(np.nan_to_num(np.abs(ours - theirs), nan=_LARGEST, posinf=_LARGEST).max()),
        "same_top": same,
        "passed": same and cosine >= least,
    }

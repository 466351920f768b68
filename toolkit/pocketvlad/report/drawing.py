"""Search results as one picture: each photo with its matches beside it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from pocketvlad.artifact import write_bytes
from pocketvlad.errors import IndexFormatError
from pocketvlad.index import PlaceIndex
from pocketvlad.index.about import thumbnail
from pocketvlad.model.preprocess import DAMAGED

_TILE, _TEXT, _GAP = (160, 120), 34, 8  # pixels
_INK, _MUTED, _PAPER = "#16242a", "#5a6b73", "#ffffff"


def draw_matches(
    out: Path,
    photos: Sequence[Path],
    rows: np.ndarray,
    cosines: np.ndarray,
    index: PlaceIndex,
    *,
    source: Path | str = "the index",
    force: bool = False,
) -> None:
    """Write a PNG: a line per photo, the photo first, then its matches with place and cosine.

    Args:
        out: the picture.
        photos: Q files.
        rows, cosines: int32 and float32 [Q, k] from the search.
        index: that was searched.
        source: its file, for errors.
        force: overwrite ``out``.

    Raises:
        ArtifactError: ``out`` exists or cannot be written.
        IndexFormatError: a thumbnail of the index that is no picture.
    """
    width = (1 + rows.shape[1]) * (_TILE[0] + _GAP) + _GAP
    height = len(photos) * (_TILE[1] + _TEXT + _GAP) + _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for line, (photo, found, scores) in enumerate(zip(photos, rows, cosines, strict=True)):
        top = _GAP + line * (_TILE[1] + _TEXT + _GAP)
        _tile(sheet, draw, (_GAP, top), thumbnail(photo), "your photo", photo.name)
        for column, (row, score) in enumerate(zip(found, scores, strict=True), 1):
            entry = index.entries[row]
            corner = (_GAP + column * (_TILE[0] + _GAP), top)
            title, detail = entry.label or entry.name, f"cosine {score:.3f}"
            with _of_the_index(source, entry.name):
                _tile(sheet, draw, corner, entry.thumbnail, title, detail)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    write_bytes(out, buffer.getvalue(), force=force)


@contextlib.contextmanager
def _of_the_index(source: Path | str, name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, *DAMAGED) as error:
        raise IndexFormatError(f"{source}: the thumbnail of photo {name} is damaged") from error


def _tile(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    jpeg: bytes,
    title: str,
    detail: str,
) -> None:
    if jpeg:
        sheet.paste(
            ImageOps.fit(Image.open(io.BytesIO(jpeg), formats=("JPEG",)).convert("RGB"), _TILE), corner
        )
    left, below = corner[0], corner[1] + _TILE[1] + 2
    font = ImageFont.load_default(12)
    draw.text((left, below), title[:26], _INK, font)
    draw.text((left, below + 15), detail[:26], _MUTED, font)

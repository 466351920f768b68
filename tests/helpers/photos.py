"""Tiny photos on disk."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def write_photo(
    path: Path, colour: str | tuple[int, int, int] = "teal", size: tuple[int, int] = (4, 3)
) -> Path:
    """A photo of one colour with the folders above it; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, "PNG" if path.suffix == ".png" else "JPEG")
    return path


def write_png16(path: Path, values: np.ndarray) -> Path:
    """A PNG of 16 bits a value, uint16 [H, W] grey or [H, W, 3 or 4]: Pillow writes only the grey ones."""
    height, width = values.shape[:2]
    colour_type = {2: 0, 3: 2, 4: 6}[values.ndim + (values.shape[2] - 3 if values.ndim == 3 else 0)]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))
    return path


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_places(
    folder: Path, *, places: int, views: int, size: tuple[int, int] = (200, 150), noise: float = 8
) -> Path:
    """A sub-folder for each place with smooth random pictures (width, height) that differ a little; its path."""
    random = np.random.default_rng(0)
    for place in range(places):
        scene = random.normal(128, 60, (6, 8, 3))
        for view in range(views):
            pixels = np.clip(scene + random.normal(0, noise, scene.shape), 0, 255).astype(np.uint8)
            path = folder / f"place-{place}" / f"view-{view}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(path, quality=95)
    return folder

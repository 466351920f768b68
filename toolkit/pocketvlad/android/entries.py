"""The entries of the app's APK: their names, and where their bytes lie in the file."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketvlad.errors import PackageError

PROGRAM, INDEX, CONFIG = "assets/model.pte", "assets/places.pvix", "assets/app.json"
MANIFEST, RESOURCES, CODE = "AndroidManifest.xml", "resources.arsc", "classes.dex"
NOTICE = "assets/NOTICE.txt"  # licences
LIBRARY_PAGE, ASSET_PAGE, WORD = 16_384, 4_096, 4  # bytes, multiples of which they lie at
LARGEST = 2_000_000_000  # bytes of an APK: its ZIP format has 32-bit offsets, some readers signed ones


@dataclass(frozen=True)
class StoredEntry:
    """Where an uncompressed entry's data lies in the APK."""

    offset: int
    length: int


def require_room(paths: Sequence[Path]) -> None:
    """Raises PackageError for files that are missing, or together more than an APK and a phone's readers of it hold."""
    missing = next((path for path in paths if not path.is_file()), None)
    if missing is not None:
        raise PackageError(f"{missing} is no file; it cannot be packaged")
    total = sum(path.stat().st_size for path in paths)
    if total > LARGEST:
        raise PackageError(
            "the APK would be too large",
            found=f"{total / 1e6:.0f} MB",
            allowed=f"{LARGEST / 1e6:.0f} MB",
            do="index fewer photos, or store the vectors as int8",
        )


def is_mapped(name: str) -> bool:
    """Whether a phone maps the entry from the APK, so that it must be stored."""
    return name.endswith(".so") or name in (PROGRAM, INDEX, RESOURCES)


def alignment(name: str) -> int:
    """Bytes, at a multiple of which an entry's data lies."""
    if name.endswith(".so"):
        return LIBRARY_PAGE
    return ASSET_PAGE if name in (PROGRAM, INDEX) else WORD


def stored_entry(path: Path, name: str, alignment: int = 1) -> StoredEntry:
    """Where an entry's bytes lie in the APK file.

    Raises:
        PackageError: it is compressed or misaligned, so that it cannot be mapped.
    """
    with zipfile.ZipFile(path) as apk, open(path, "rb") as file:
        try:
            entry = apk.getinfo(name)
        except KeyError as error:
            raise PackageError(f"{path} lacks {name}") from error
        file.seek(entry.header_offset + 26)
        name_bytes, extra_bytes = struct.unpack("<HH", file.read(4))
    offset = entry.header_offset + 30 + name_bytes + extra_bytes
    if entry.compress_type != zipfile.ZIP_STORED or offset % alignment:
        raise PackageError(
            f"{path}: {name} cannot be mapped",
            found="compressed" if entry.compress_type else f"offset {offset}",
            allowed=f"stored at a multiple of {alignment}",
        )
    return StoredEntry(offset, entry.file_size)

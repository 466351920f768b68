"""APKs with one thing changed, packed and signed again."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from pocketvlad.android import signing
from pocketvlad.android.apk import padding
from pocketvlad.android.entries import alignment

Edit = Callable[[str, bytes], bytes | None]
ONE_PICTURE = {
    "manifest.json": json.dumps(
        {
            "format": 1,
            "tolerance": {"cosine": 0.9999},
            "pictures": [
                {"file": "a.png", "name": "a", "descriptor": [1.0], "top": [{"row": 0, "cosine": 1.0}]}
            ],
        }
    ).encode()
}


def edited(source: Path, out: Path, keys, edit: Edit, *, align: bool = True, store: bool = True) -> Path:
    """The APK with every entry passed through ``edit`` (None drops it), packed and signed again."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            data = edit(entry.filename, old.read(entry))
            if data is None:
                continue
            copy = zipfile.ZipInfo(entry.filename, entry.date_time)
            if entry.compress_type == zipfile.ZIP_STORED and store:
                start = new.fp.tell() + 30 + len(entry.filename)
                copy.extra = padding(start, alignment(entry.filename)) if align else b""
            else:
                copy.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(copy, data)
    signing.sign_apk(out, keys)
    return out


def change(name: str, edit: Callable[[bytes], bytes | None]) -> Edit:
    return lambda entry, data: edit(data) if entry == name else data


def patched(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def edit(data: bytes) -> bytes:
        assert data.count(old) >= 1
        return data.replace(old, new, 1)

    return edit


def elf_header(edit: Callable[[list[int]], None]) -> Callable[[bytes], bytes]:
    """Edits the fields of the first LOAD segment: type, flags, offset, address, …, align."""

    def change(data: bytes) -> bytes:
        (at,) = struct.unpack_from("<Q", data, 32)
        while struct.unpack_from("<I", data, at)[0] != 1:
            at += 56
        fields = list(struct.unpack_from("<IIQQQQQQ", data, at))
        edit(fields)
        return data[:at] + struct.pack("<IIQQQQQQ", *fields) + data[at + 56 :]

    return change


def utf16(text: str) -> bytes:
    return text.encode("utf-16-le")


def integer(value: int) -> bytes:
    """A decimal attribute value of binary XML."""
    return struct.pack("<HBBI", 8, 0, 0x10, value)

"""An Android App Bundle (.aab), as Google's shop takes apps: an APK's contents in another form.

In the shop's APKs the program and the index are compressed: the app copies them once before it maps them.

Source: developer.android.com, "The Android App Bundle format"; bundletool's ``config.proto`` and ``files.proto``.
"""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pocketvlad.android.entries import CODE, MANIFEST
from pocketvlad.android.jar import signature_files
from pocketvlad.android.signing import Keys
from pocketvlad.android.template import aapt2
from pocketvlad.artifact import atomic_path
from pocketvlad.errors import PackageError
from pocketvlad.unfinished import scratch_folder

_RESOURCES, _MODULE = "resources.pb", "base"
_BUNDLETOOL = "1.18.1"  # the version whose rules these are
_ALIGN_16_KB = 2  # of its page alignments
_ABIS = {"arm64-v8a": 3, "x86_64": 5}  # its numbers
_DATE = (1981, 1, 1, 1, 1, 2)


def write_bundle(apk: Path, out: Path, keys: Keys, *, force: bool = False) -> None:
    """Write a finished APK as a bundle, signed as jarsigner signs.

    Args:
        apk: of :func:`.apk.build_apk`.
        out: the ``.aab``.
        keys: the shop's upload key.
        force: overwrite ``out``.

    Raises:
        MissingToolError: no aapt2.
        PackageError: no APK.
        ArtifactError: ``out`` exists or cannot be written.
    """
    with scratch_folder() as work, atomic_path(out, force=force) as temporary:
        converted = work / "converted.apk"
        command = [aapt2(work), "convert", "--output-format", "proto", "-o", str(converted), str(apk)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            lines = result.stderr.strip().splitlines() or ["no message"]
            raise PackageError(f"aapt2 cannot read {apk}", found=lines[0][:300])
        with zipfile.ZipFile(converted) as source, zipfile.ZipFile(temporary, "w") as bundle:
            contents = dict(_contents(source))
            for name, data in [*signature_files(contents, keys).items(), *contents.items()]:
                _add(bundle, name, data)


def _contents(source: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    """The bundle's entries, without signatures."""
    yield "BundleConfig.pb", _config()
    names = sorted(source.namelist())
    yield f"{_MODULE}/native.pb", _native({name.split("/")[1] for name in names if name.startswith("lib/")})
    moved = {MANIFEST: f"manifest/{MANIFEST}", CODE: f"dex/{CODE}"}
    for name in names:
        yield f"{_MODULE}/{moved.get(name, name)}", source.read(name)


def _config() -> bytes:
    """What a phone's APKs are to be like: libraries stored, at multiples of 16 KB."""
    libraries = _number(1, 1) + _number(2, _ALIGN_16_KB)
    return _bytes(1, _bytes(2, _BUNDLETOOL.encode())) + _bytes(2, _bytes(2, libraries))


def _native(abis: set[str]) -> bytes:
    """Which folder of libraries is for which processor."""
    return b"".join(
        _bytes(1, _bytes(1, f"lib/{abi}".encode()) + _bytes(2, _bytes(1, _number(1, _ABIS[abi]))))
        for abi in sorted(abis)
    )


def _number(field: int, value: int) -> bytes:
    """A field of a protocol buffer."""
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    head = b""
    while value > 0x7F:
        head, value = head + bytes([value & 0x7F | 0x80]), value >> 7
    return head + bytes([value])


def _add(bundle: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 0
    bundle.writestr(entry, data, compresslevel=9)

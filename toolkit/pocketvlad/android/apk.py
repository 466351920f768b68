"""An APK in pure Python: the committed template, the libraries, the model and the index, signed.

Libraries are stored at multiples of 16 KB and the model and index at multiples of 4 KB, so that the phone
maps them from the APK; small entries fill the gaps before them. :func:`.check_apk` checks everything again.
"""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pocketvlad.android.check import ApkReport, check_apk
from pocketvlad.android.entries import CONFIG, INDEX, MANIFEST, PROGRAM, alignment, is_mapped
from pocketvlad.android.identity import Identity, with_identity
from pocketvlad.android.selftest import FOLDER as SELFTEST
from pocketvlad.android.signing import Keys, sign_apk
from pocketvlad.artifact import atomic_path
from pocketvlad.errors import PackageError

TEMPLATE = Path(__file__).parent / "template.apk"
_DEMO = Identity()
_STORED = frozenset({".so", ".pte", ".pvix", ".png", ".jpg", ".arsc"})
_ALIGNMENT_FIELD = 0xD935  # zip extra field of Android's own tools
_LEVEL = 9  # of DEFLATE
_HEADER = 30  # bytes of an entry before its name
_LARGEST = 2_000_000_000  # bytes: the ZIP format of APKs has 32-bit offsets, some readers signed ones
_DATE = (1981, 1, 1, 1, 1, 2)  # the same for every entry: packages of equal content are equal


def build_apk(
    out: Path,
    *,
    program: Path,
    index: Path,
    libraries: Mapping[str, Sequence[Path]],
    config: Mapping[str, object],
    selftest: Mapping[str, bytes],
    keys: Keys,
    identity: Identity = _DEMO,
    force: bool = False,
) -> ApkReport:
    """Write a signed, installable APK.

    Args:
        out: the APK.
        program, index: what the app recognises places with.
        libraries: files by ABI.
        config: of the app (title, threshold, fingerprint), written as ``assets/app.json``.
        selftest: files of ``assets/selftest`` by name, as :func:`.selftest.build` makes them.
        keys: that sign it.
        identity: of the app to the phone.
        force: overwrite ``out``.

    Returns:
        What :func:`check_apk` says of the finished file.

    Raises:
        PackageError: a file cannot be read, or a phone would not take the result.
        ArtifactError: ``out`` exists or cannot be written.
    """
    _check_inputs([program, index, *(path for paths in libraries.values() for path in paths)])
    with atomic_path(out, force=force) as temporary:
        with zipfile.ZipFile(temporary, "w") as apk:
            _write(apk, _small_entries(identity, config, selftest), _large_entries(program, index, libraries))
        sign_apk(temporary, keys)
        return check_apk(temporary)


def _check_inputs(paths: Sequence[Path]) -> None:
    missing = next((path for path in paths if not path.is_file()), None)
    if missing is not None:
        raise PackageError(f"{missing} is no file; it cannot be packaged")
    total = sum(path.stat().st_size for path in paths)
    if total > _LARGEST:
        raise PackageError(
            "the APK would be too large", found=f"{total / 1e6:.0f} MB", allowed=f"{_LARGEST / 1e6:.0f} MB"
        )


def _small_entries(
    identity: Identity, config: Mapping[str, object], selftest: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Contents by name: the template's, the settings, the self-test."""
    with zipfile.ZipFile(TEMPLATE) as template:
        entries = {name: template.read(name) for name in template.namelist()}
    entries[MANIFEST] = with_identity(entries[MANIFEST], identity)
    entries[CONFIG] = json.dumps(dict(config), sort_keys=True).encode()
    return entries | {f"{SELFTEST}/{name}": data for name, data in selftest.items()}


def _large_entries(
    program: Path, index: Path, libraries: Mapping[str, Sequence[Path]]
) -> list[tuple[str, Path]]:
    """Names and files of what the phone maps."""
    names = [
        (f"lib/{abi}/{library.name}", library) for abi in sorted(libraries) for library in libraries[abi]
    ]
    return [(INDEX, index), (PROGRAM, program), *names]


def _write(apk: zipfile.ZipFile, small: Mapping[str, bytes], large: Sequence[tuple[str, Path]]) -> None:
    """Every mapped file, and in the gap before it the largest small entries that fit."""
    packed = {name: _packed(name, data) for name, data in small.items()}
    waiting = sorted(packed, key=lambda name: (-len(packed[name]), name))
    for name, path in large:
        gap = -(_position(apk) + _HEADER + len(name)) % alignment(name)
        for candidate in list(waiting):
            taken = _HEADER + len(candidate) + len(packed[candidate])
            if not is_mapped(candidate) and taken <= gap:
                _add_bytes(apk, candidate, small[candidate])
                waiting.remove(candidate)
                gap = -(_position(apk) + _HEADER + len(name)) % alignment(name)
        _add_file(apk, name, path)
    for name in waiting:
        _add_bytes(apk, name, small[name])


def _packed(name: str, data: bytes) -> bytes:
    """As many bytes as an entry's data will take."""
    if Path(name).suffix in _STORED:
        return data
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def _entry(apk: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.external_attr, entry.create_system = 0o644 << 16, 0
    entry.compress_type = zipfile.ZIP_DEFLATED
    if Path(name).suffix in _STORED:
        entry.compress_type = zipfile.ZIP_STORED
        entry.extra = padding(_position(apk) + _HEADER + len(name.encode()), alignment(name))
    return entry


def _position(apk: zipfile.ZipFile) -> int:
    return apk.fp.tell() if apk.fp else 0


def padding(start: int, multiple: int) -> bytes:
    """An extra field after which the data starts at a multiple; at least 6 bytes or none."""
    missing = -start % multiple
    if not missing:
        return b""
    while missing < 6:
        missing += multiple
    return struct.pack("<HHH", _ALIGNMENT_FIELD, missing - 4, multiple) + b"\0" * (missing - 6)


def _add_bytes(apk: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = _entry(apk, name)
    apk.writestr(entry, data, compresslevel=_LEVEL)
    entry.extra = b""  # padding is for the data alone, not for the directory


def _add_file(apk: zipfile.ZipFile, name: str, path: Path) -> None:
    entry = _entry(apk, name)
    entry.file_size = path.stat().st_size
    with open(path, "rb") as source, apk.open(entry, "w") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    entry.extra = b""

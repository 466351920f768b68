"""An APK in pure Python: the committed template, the libraries, the model and the index, signed.

Libraries are stored at multiples of 16 KB and the model and index at multiples of 4 KB, so that the phone
maps them from the APK; :func:`check_apk` checks everything again.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketvlad.android.axml import Manifest, read_manifest
from pocketvlad.android.dex import read_dex
from pocketvlad.android.elf import read_library
from pocketvlad.android.identity import Identity, with_identity
from pocketvlad.android.selftest import FOLDER as SELFTEST
from pocketvlad.android.selftest import read_manifest as read_selftest
from pocketvlad.android.signing import Keys, sign_apk
from pocketvlad.android.verify import SCHEMES, verify_apk
from pocketvlad.artifact import atomic_path
from pocketvlad.errors import PackageError

TEMPLATE = Path(__file__).parent / "template.apk"
PROGRAM, INDEX, CONFIG = "assets/model.pte", "assets/places.pvix", "assets/app.json"
MANIFEST = "AndroidManifest.xml"
_DEMO = Identity()
_LIBRARY_PAGE, _ASSET_PAGE, _WORD = 16_384, 4_096, 4
_STORED = frozenset({".so", ".pte", ".pvix", ".png", ".jpg", ".arsc"})
_ALIGNMENT_FIELD = 0xD935  # zip extra field of Android's own tools
_LARGEST = 2_000_000_000  # bytes: the ZIP format of APKs has 32-bit offsets, some readers signed ones
_LEAST_TARGET = 24  # current phones refuse to install apps for older systems
_DEX_OF_API_26 = 38
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
        with zipfile.ZipFile(TEMPLATE) as template, zipfile.ZipFile(temporary, "w") as apk:
            for entry in template.infolist():
                data = template.read(entry)
                _add_bytes(
                    apk, entry.filename, with_identity(data, identity) if entry.filename == MANIFEST else data
                )
            _add_bytes(apk, CONFIG, json.dumps(dict(config), sort_keys=True).encode())
            for name in sorted(selftest):
                _add_bytes(apk, f"{SELFTEST}/{name}", selftest[name])
            _add_file(apk, INDEX, index)
            _add_file(apk, PROGRAM, program)
            for abi in sorted(libraries):
                for library in libraries[abi]:
                    _add_file(apk, f"lib/{abi}/{library.name}", library)
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


def _alignment(name: str) -> int:
    if name.endswith(".so"):
        return _LIBRARY_PAGE
    return _ASSET_PAGE if name in (PROGRAM, INDEX) else _WORD


def _entry(apk: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.external_attr, entry.create_system = 0o644 << 16, 0
    entry.compress_type = zipfile.ZIP_DEFLATED
    if Path(name).suffix in _STORED:
        entry.compress_type = zipfile.ZIP_STORED
        entry.extra = _padding(_position(apk) + 30 + len(name.encode()), _alignment(name))
    return entry


def _position(apk: zipfile.ZipFile) -> int:
    return apk.fp.tell() if apk.fp else 0


def _padding(start: int, alignment: int) -> bytes:
    """An extra field after which the data starts at a multiple of ``alignment``; at least 6 bytes or none."""
    missing = -start % alignment
    if not missing:
        return b""
    while missing < 6:
        missing += alignment
    return struct.pack("<HHH", _ALIGNMENT_FIELD, missing - 4, alignment) + b"\0" * (missing - 6)


def _add_bytes(apk: zipfile.ZipFile, name: str, data: bytes) -> None:
    apk.writestr(_entry(apk, name), data)


def _add_file(apk: zipfile.ZipFile, name: str, path: Path) -> None:
    entry = _entry(apk, name)
    entry.file_size = path.stat().st_size
    with open(path, "rb") as source, apk.open(entry, "w") as target:
        shutil.copyfileobj(source, target, 1 << 20)


@dataclass(frozen=True)
class ApkReport:
    """What an accepted APK is: identity, ABIs, sizes in bytes, signature schemes and signer."""

    package: str
    version_name: str
    version_code: int
    min_sdk: int
    target_sdk: int
    abis: tuple[str, ...]
    entries: int
    bytes: int
    program_bytes: int
    index_bytes: int
    signed: tuple[str, ...]
    signer: str


@dataclass(frozen=True)
class StoredEntry:
    """Where an uncompressed entry's data lies in the APK."""

    offset: int
    length: int


def check_apk(path: Path) -> ApkReport:
    """The checks a current phone makes at installation, and those our app needs to map its files.

    Raises:
        PackageError: the first thing a phone, or the app, would refuse.
    """
    try:
        with zipfile.ZipFile(path) as apk:
            entries = apk.infolist()
            _check_entries(path, apk, entries)
            manifest = read_manifest(apk.read(MANIFEST))
            _check_code(path, manifest, apk.read("classes.dex"))
            abis = _check_libraries(path, apk, entries)
            sizes = {entry.filename: entry.file_size for entry in entries}
    except (
        OSError,
        zipfile.BadZipFile,
        NotImplementedError,
        KeyError,
        ValueError,
        struct.error,
        zlib.error,
    ) as e:
        raise PackageError(f"{path} is not a readable APK", found=str(e)) from e
    _check_manifest(path, manifest)
    read_selftest(path)
    certificate = verify_apk(path)
    return ApkReport(
        manifest.package,
        manifest.version_name,
        manifest.version_code,
        manifest.min_sdk,
        manifest.target_sdk,
        abis,
        len(entries),
        path.stat().st_size,
        sizes[PROGRAM],
        sizes[INDEX],
        SCHEMES,
        certificate.subject.rfc4514_string(),
    )


def _check_entries(path: Path, apk: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise PackageError(f"{path} has an entry twice")
    for wanted in (MANIFEST, "resources.arsc", "classes.dex", PROGRAM, INDEX, CONFIG):
        if wanted not in names:
            raise PackageError(f"{path} lacks {wanted}")
    locked = next((entry.filename for entry in entries if entry.flag_bits & 1), None)
    if locked is not None:
        raise PackageError(f"{path} has an encrypted entry", found=locked)
    broken = apk.testzip()
    if broken is not None:
        raise PackageError(f"{path} is damaged", found=f"a wrong checksum of {broken}")
    for entry in entries:
        if entry.filename.endswith(".so") or entry.filename in (PROGRAM, INDEX, "resources.arsc"):
            stored_entry(path, entry.filename, _alignment(entry.filename))


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


def _check_libraries(path: Path, apk: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo]) -> tuple[str, ...]:
    abis = set()
    for entry in entries:
        match = re.fullmatch(r"lib/([^/]+)/(lib[^/]+\.so)", entry.filename)
        if not match:
            if entry.filename.startswith("lib/"):
                raise PackageError(f"{path} has a misplaced library", found=entry.filename)
            continue
        library = read_library(apk.read(entry))
        if library.abi != match[1]:
            raise PackageError(f"{path}: {entry.filename} is built for {library.abi}")
        for load in library.loads:
            if load.align < _LIBRARY_PAGE or (load.address - load.offset) % load.align:
                raise PackageError(f"{path}: {entry.filename} cannot be loaded with 16 KB pages")
            if load.flags & 3 == 3:
                raise PackageError(f"{path}: {entry.filename} has a segment both writable and executable")
        abis.add(match[1])
    if "arm64-v8a" not in abis:
        raise PackageError(f"{path} has no library for phones", found=", ".join(abis), allowed="arm64-v8a")
    return tuple(sorted(abis))


def _check_manifest(path: Path, manifest: Manifest) -> None:
    if manifest.target_sdk < _LEAST_TARGET:
        raise PackageError(
            f"{path} targets an SDK phones refuse",
            found=manifest.target_sdk,
            allowed=f"{_LEAST_TARGET} or more",
        )
    if manifest.launcher is None:
        raise PackageError(f"{path} has no activity to launch")
    if manifest.extract_native_libs is not False:
        raise PackageError(f"{path} asks the phone to extract its libraries")
    silent = next((component.name for component in manifest.components if component.exported is None), None)
    if silent is not None:
        raise PackageError(f"{path}: {silent} does not say whether it is exported")


def _check_code(path: Path, manifest: Manifest, data: bytes) -> None:
    code = read_dex(data)
    if code.version > _DEX_OF_API_26 or code.has_call_sites:
        found = "calls resolved at run time" if code.has_call_sites else f"version {code.version}"
        raise PackageError(f"{path} has byte code that API {manifest.min_sdk} cannot run", found=found)
    missing = sorted({component.name for component in manifest.components} - code.classes)
    if missing:
        raise PackageError(f"{path} lacks a class its manifest names", found=missing[0])

"""The checks of a finished APK: what a phone refuses at installation, and what our app refuses at its start."""

from __future__ import annotations

import mmap
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketvlad.android.axml import Manifest, read_manifest
from pocketvlad.android.dex import read_dex
from pocketvlad.android.elf import SharedLibrary, read_library
from pocketvlad.android.entries import (
    CODE,
    CONFIG,
    INDEX,
    MANIFEST,
    NOTICE,
    PROGRAM,
    RESOURCES,
    alignment,
    is_mapped,
    stored_entry,
)
from pocketvlad.android.loader import check_libraries
from pocketvlad.android.runtime import FULL, RUNTIMES, Runtime
from pocketvlad.android.selftest import read_manifest as read_selftest
from pocketvlad.android.verify import SCHEMES, verify_apk
from pocketvlad.errors import ArtifactError, PackageError, reason
from pocketvlad.given import require_ordinary
from pocketvlad.runtime.operators import read_operators
from pocketvlad.schema import parse_json

_LEAST_TARGET = 24  # current phones refuse to install apps for older systems
_DEX_OF_API_26 = 38
_FINGERPRINT = slice(32, 64)  # bytes of an index
_MAGIC = b"PVIX"
_FORBIDDEN = {"debuggable": "may be debugged by anyone", "testOnly": "is for tests alone"}


@dataclass(frozen=True)
class ApkReport:
    """What an accepted APK is: identity, ABIs, sizes in bytes, signature schemes and signer.

    Attributes:
        parts: bytes in the file by part, the largest first: the runtime, the program, and so on.
    """

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
    parts: dict[str, int]
    signed: tuple[str, ...]
    signer: str


def check_apk(path: Path) -> ApkReport:
    """The checks a current phone makes at installation, and those our app makes of its files.

    Raises:
        PackageError: the first thing a phone, or the app, would refuse.
    """
    require_ordinary(path, PackageError)
    try:
        with zipfile.ZipFile(path) as apk:
            entries = apk.infolist()
            _check_entries(path, apk, entries)
            manifest = read_manifest(apk.read(MANIFEST))
            _check_code(path, manifest, apk.read(CODE))
            abis = _check_libraries(path, apk, entries)
            _check_program(path, apk.read(CONFIG))
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
        raise PackageError(f"{path} is not a readable APK", found=reason(e)) from e
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
        _parts(path, entries),
        SCHEMES,
        certificate.subject.rfc4514_string(),
    )


def _parts(path: Path, entries: Sequence[zipfile.ZipInfo]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for entry in entries:
        part = _part(entry.filename)
        sizes[part] = sizes.get(part, 0) + entry.compress_size
    sizes["signature, directory, gaps"] = path.stat().st_size - sum(sizes.values())
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def _part(name: str) -> str:
    named = {PROGRAM: "program", INDEX: "index", CODE: "byte code"}
    if name.endswith("libexecutorch_jni.so"):
        return "runtime"
    if name.startswith("lib/"):
        return "our library"
    if name.startswith("assets/selftest/"):
        return "examples"  # with their answers
    return named.get(name, "resources")


def _check_entries(path: Path, apk: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise PackageError(f"{path} has an entry twice")
    for wanted in (MANIFEST, RESOURCES, CODE, NOTICE, PROGRAM, INDEX, CONFIG):
        if wanted not in names:
            raise PackageError(f"{path} lacks {wanted}")
    locked = next((entry.filename for entry in entries if entry.flag_bits & 1), None)
    if locked is not None:
        raise PackageError(f"{path} has an encrypted entry", found=locked)
    broken = apk.testzip()
    if broken is not None:
        raise PackageError(f"{path} is damaged", found=f"a wrong checksum of {broken}")
    for name in filter(is_mapped, names):
        stored_entry(path, name, alignment(name))


def _check_libraries(path: Path, apk: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo]) -> tuple[str, ...]:
    abis: dict[str, dict[str, SharedLibrary]] = {}
    for entry in entries:
        if not entry.filename.startswith("lib/"):
            continue
        match = re.fullmatch(r"lib/([^/]+)/(lib[^/]+\.so)", entry.filename)
        if not match:
            raise PackageError(f"{path} has a misplaced library", found=entry.filename)
        library = read_library(apk.read(entry))
        if library.abi != match[1]:
            raise PackageError(f"{path}: {entry.filename} is built for {library.abi}")
        abis.setdefault(match[1], {})[match[2]] = library
    if "arm64-v8a" not in abis:
        raise PackageError(f"{path} has no library for phones", found=", ".join(abis), allowed="arm64-v8a")
    for abi, libraries in abis.items():
        differing = sorted(libraries.keys() ^ abis["arm64-v8a"].keys())
        if differing:
            raise PackageError(
                f"{path}: {abi} has not the libraries of arm64-v8a", found=", ".join(differing)
            )
        try:
            check_libraries(libraries)
        except PackageError as error:
            raise PackageError(f"{path}: {error.what}", found=error.found) from error
    return tuple(sorted(abis))


def _check_program(path: Path, settings: bytes) -> None:
    """The program's operators are the runtime's, and index and settings are the program's."""
    config = parse_json(settings)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        program, index = stored_entry(path, PROGRAM), stored_entry(path, INDEX)
        end = program.offset + program.length
        with memoryview(mapped) as view, view[program.offset : end] as data:
            try:
                lacking = sorted(set(read_operators(data)) - _runtime(path, config).operators())
            except ArtifactError as error:
                raise PackageError(f"{path}: {error.what}", found=error.found) from error
        start = mapped[index.offset : index.offset + min(index.length, _FINGERPRINT.stop)]
        fingerprint = start[_FINGERPRINT]
        alien = len(fingerprint) != 32 or mapped.find(fingerprint, program.offset, end) < 0
    if lacking:
        raise PackageError(f"{path}: the program calls what the runtime lacks", found=", ".join(lacking))
    if alien or not start.startswith(_MAGIC):
        raise PackageError(f"{path}: the index does not belong to the program", do="index the photos again")
    if not isinstance(config, Mapping) or config.get("fingerprint") != fingerprint.hex():
        raise PackageError(f"{path}: the app's settings are of another index", do="package it again")


def _runtime(path: Path, config: object) -> Runtime:
    """The runtime of an APK; that of APKs made before there were two, where its settings name none."""
    named = config.get("runtime", FULL.name) if isinstance(config, Mapping) else FULL.name
    found = next((one for one in RUNTIMES if one.name == named), None)
    if found is None:
        raise PackageError(
            f"{path} has a runtime this version does not know", found=named, do="package it again"
        )
    return found


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
    for flag in sorted(manifest.flags & _FORBIDDEN.keys()):
        raise PackageError(f"{path} {_FORBIDDEN[flag]}", found=f"android:{flag}")
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

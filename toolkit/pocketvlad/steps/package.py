"""A program and an index -> an APK; its checks on phones, real and emulated.

Nothing here needs torch until an APK is made: a phone's commands answer at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pocketvlad.android import signing
from pocketvlad.android.check import ApkReport
from pocketvlad.android.identity import require_shown
from pocketvlad.artifact import require_folder
from pocketvlad.errors import PackageError
from pocketvlad.given import require_ordinary
from pocketvlad.outputs import require_distinct, require_outputs

if TYPE_CHECKING:
    from pocketvlad.android.identity import Identity
    from pocketvlad.android.results import SelfTestResult


@dataclass(frozen=True)
class Packaged:
    """An APK's file, and how to install it."""

    out: str
    mb: float
    report: ApkReport
    install: str


def package(
    program: Path,
    index: Path,
    out: Path,
    *,
    photos: Sequence[Path] = (),
    title: str = "Pocketvlad",
    keystore: Path | None = None,
    password: str | None = None,
    old_keystores: Sequence[Path] = (),
    old_password: str | None = None,
    abis: Sequence[str] = (),
    identity: Identity | None = None,
    symbols: Path | None = None,
    bundle: Path | None = None,
    force: bool = False,
) -> Packaged:
    """Build, sign and check the APK.

    Args:
        program: the ``.pte``.
        index: the ``.pvix`` it made.
        out: the APK.
        photos: for the self-test; without any, the index's first thumbnails.
        title: shown by the app.
        keystore, password: PKCS#12; None: a debug key.
        old_keystores, old_password: of the keys that signed earlier versions, the oldest first.
        abis: of the libraries; none: those of phones.
        identity: of the app to the phone; None: the demo's.
        bundle: Android App Bundle that is written as well, signed with the same key.
        symbols: folder that gets the app's own libraries with names and lines, for crash reports.
        force: overwrite ``out``.

    Raises:
        IndexFormatError: the index belongs to another program.
        PackageError: the APK cannot be built or signed.
        MissingToolError: a tool that builds the app's library is missing.
    """
    from pocketvlad.android import package as packages

    require_shown("title", title)
    read = [program, index, *photos, keystore, *old_keystores, identity.icon if identity else None]
    _require_files([each for each in read if each is not None], out, bundle, symbols, force=force)
    keys = signing.load_keys(keystore, password) if keystore else signing.default_keys()
    report = packages.package(
        out,
        program=program,
        index=index,
        photos=photos,
        title=title,
        keys=signing.successor(keys, [signing.load_keys(path, old_password) for path in old_keystores]),
        abis=abis or packages.PHONES,
        identity=identity,
        force=force,
    )
    if bundle is not None:
        _write_bundle(out, bundle, keys, force)
    if symbols is not None:
        _copy_symbols(program, symbols, abis or packages.PHONES)
    return Packaged(str(out), out.stat().st_size / 1e6, report, install_command(out))


def _require_files(
    read: Sequence[Path], out: Path, bundle: Path | None, symbols: Path | None, *, force: bool
) -> None:
    """ArtifactError or PackageError for files that cannot be read or written as they are asked for."""
    if symbols is not None:
        require_distinct([file for file in (out, bundle, symbols) if file is not None])
        require_folder(symbols)
    require_outputs([out, bundle], read, force=force)
    for given in read:
        require_ordinary(given, PackageError)


def _write_bundle(apk: Path, bundle: Path, keys: signing.Keys, force: bool) -> None:
    from pocketvlad.android.bundle import write_bundle

    write_bundle(apk, bundle, keys, force=force)


def _copy_symbols(program: Path, folder: Path, abis: Sequence[str]) -> None:
    from pocketvlad.android.native import copy_symbols
    from pocketvlad.android.runtime import smallest

    copy_symbols(folder, abis, smallest(program))


def install_command(apk: Path) -> str:
    """What a shell is told to install an APK."""
    return shlex.join(["adb", "install", "-r", str(apk)])


def emulated_test(apk: Path, *, cpu: str | None = None, abi: str = "arm64-v8a") -> SelfTestResult:
    """The APK's self-test by its own libraries of an ABI on this machine; arm64 as qemu's CPU ``cpu``, or ``max``."""
    from pocketvlad.android.emulate import run_selftest

    return run_selftest(apk, cpu=cpu or ("max" if abi == "arm64-v8a" else None), abi=abi)

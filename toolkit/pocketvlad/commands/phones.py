"""The APK: packaged, checked, run on phones real and emulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pocketvlad.commands import Values

if TYPE_CHECKING:
    from pocketvlad.android.identity import Identity
    from pocketvlad.android.results import BenchResult, Installed, SelfTestResult


def package_file(
    program: Path,
    index: Path,
    out: Path,
    photos: Sequence[Path],
    title: str,
    *,
    keystore: Path | None,
    password: str | None,
    force: bool,
    abis: Sequence[str] = (),
    identity: Identity | None = None,
) -> Values:
    """Build, sign and check the APK; photos become the app's self-test. No ABIs: those of phones."""
    from pocketvlad.android.package import PHONES, package
    from pocketvlad.android.signing import load_keys

    report = package(
        out,
        program=program,
        index=index,
        photos=photos,
        title=title,
        keys=load_keys(keystore, password) if keystore else None,
        abis=abis or PHONES,
        identity=identity,
        force=force,
    )
    return {"out": str(out), **asdict(report), "install": f"adb install -r {out}"}


def check_file(path: Path) -> Values:
    from pocketvlad.android.apk import check_apk

    return {"apk": str(path), "accepted": True, **asdict(check_apk(path))}


def phone_install_file(apk: Path, serial: str | None) -> Installed:
    from pocketvlad.android import phone

    return phone.install(apk, serial=serial)


def phone_test_file(apk: Path, *, emulate: bool, cpu: str | None, serial: str | None) -> SelfTestResult:
    """The self-test on a real phone, or the APK's own arm64 libraries on this machine."""
    from pocketvlad.android import phone
    from pocketvlad.android.emulate import run_selftest

    if emulate:
        return run_selftest(apk, cpu=cpu or "max")
    return phone.test(apk, serial=serial)


def phone_bench_file(apk: Path, serial: str | None) -> BenchResult:
    from pocketvlad.android import phone

    return phone.bench(apk, serial=serial)

"""The APK: packaged, checked, run on phones real and emulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pocketvlad.commands import Values
from pocketvlad.index import open_index, require_fingerprint
from pocketvlad.runtime.runner import ProgramRunner


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
) -> Values:
    """Build, sign and check the APK; photos become the app's self-test."""
    from pocketvlad.android import selftest
    from pocketvlad.android.apk import build_apk
    from pocketvlad.android.native import build_libraries
    from pocketvlad.android.signing import debug_keys, load_keys
    from pocketvlad.core.cache import cache_root

    runner, places = ProgramRunner(program), open_index(index)
    require_fingerprint(places, runner.info.fingerprint, program.name)
    keys = load_keys(keystore, password) if keystore else debug_keys(cache_root() / "debug.keystore")
    config = {"title": title, "threshold": places.threshold, "fingerprint": places.fingerprint.hex()}
    report = build_apk(
        out,
        program=program,
        index=index,
        libraries=build_libraries(),
        config=config,
        selftest=selftest.build(program, index, photos),
        keys=keys,
        force=force,
    )
    return {"out": str(out), **asdict(report), "install": f"adb install -r {out}"}


def check_file(path: Path) -> Values:
    from pocketvlad.android.apk import check_apk

    return {"apk": str(path), "accepted": True, **asdict(check_apk(path))}


def phone_install_file(apk: Path, serial: str | None) -> Values:
    from pocketvlad.android import phone

    return phone.install(apk, serial=serial)


def phone_test_file(apk: Path, *, emulate: bool, cpu: str | None, serial: str | None) -> Values:
    """The self-test on a real phone, or the APK's own arm64 libraries on this machine."""
    from pocketvlad.android import phone
    from pocketvlad.android.emulate import run_selftest

    if emulate:
        return run_selftest(apk, cpu=cpu or "max")
    return phone.test(apk, serial=serial)


def phone_bench_file(apk: Path, serial: str | None) -> Values:
    from pocketvlad.android import phone

    return phone.bench(apk, serial=serial)

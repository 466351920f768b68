"""On-phone checks over adb: install the APK, run the app's self-test, bring its answers back."""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path
from typing import Any

from pocketvlad.android import host
from pocketvlad.android.adb import Device, find_device
from pocketvlad.android.bench import BenchResult
from pocketvlad.android.check import check_apk
from pocketvlad.android.identity import PACKAGE
from pocketvlad.android.results import Installed, SelfTestResult
from pocketvlad.errors import PhoneError
from pocketvlad.schema import parse_json

_ACTIVITY = f"{PACKAGE}.selftest.SelfTestActivity"
_RESULT = "/sdcard/Android/data/{package}/files/selftest.json"
_TAG = "pocketvlad"
_POLL = 1.0  # seconds
_WAIT = 300.0  # seconds for a self-test
_CRASH_GRACE = 3.0  # seconds after the app has gone


def install(apk: Path, serial: str | None = None) -> Installed:
    """Install the APK on the connected phone.

    Args:
        apk: a packaged APK; checked before it travels.
        serial: adb's name of the phone, where several are connected.

    Raises:
        MissingToolError: no adb.
        PackageError: the APK is none a phone would take.
        PhoneError: no phone, or one that cannot take it.
    """
    return _install(find_device(serial), apk)


def test(
    apk: Path, serial: str | None = None, *, seconds: int = 0, threads: bool = False, timeout: float = _WAIT
) -> SelfTestResult:
    """Install the APK, run its self-test on the phone and wait for the result.

    Args:
        apk, serial: as for :func:`install`.
        seconds: of recognition without a pause behind the test, up to 600; 0 for none.
        threads: whether to measure with one thread, two and so on as well.
        timeout: seconds without an answer, beside those.

    Raises:
        MissingToolError, PackageError: as :func:`install`.
        PhoneError: also when the app crashes, refuses its files or does not end in ``timeout`` seconds.
    """
    device = find_device(serial)
    installed = _install(device, apk)
    return run_selftest(device, installed.package, seconds=seconds, threads=threads, timeout=timeout)


def bench(apk: Path, serial: str | None = None, *, runs: int = 5, seconds: int = 0) -> BenchResult:
    """The self-test on the phone and, with ``runs`` runs, on this machine: the same pictures, stage by stage.

    One of them is also described with each number of threads.

    Raises:
        As :func:`test`.
    """
    phone = test(apk, serial, seconds=seconds, threads=True)
    return BenchResult(phone, host.run_selftest(apk, runs=runs, scaling=True))


def _install(device: Device, apk: Path) -> Installed:
    report = check_apk(apk)
    if device.sdk < report.min_sdk:
        raise PhoneError(
            f"{device.model} is too old for the app",
            found=f"API {device.sdk}",
            allowed=f"{report.min_sdk} or newer",
        )
    abi = next((abi for abi in device.abis if abi in report.abis), None)
    if abi is None:
        raise PhoneError(
            f"the APK has no library for {device.model}",
            found=", ".join(device.abis),
            allowed=", ".join(report.abis),
        )
    device.install(apk, report.package)
    return Installed(device.model, device.serial, device.sdk, abi, report.package, report.bytes / 1e6)


def run_selftest(
    device: Device,
    package: str = PACKAGE,
    *,
    seconds: int = 0,
    threads: bool = False,
    timeout: float = _WAIT,
) -> SelfTestResult:
    """Start the self-test of the app with the id ``package``; its result comes from a file or else from the log.

    Raises:
        PhoneError: the app is not installed, crashes, reports an error, or does not end in time.
    """
    token = secrets.token_hex(8)  # tells this run's answer from an older one
    since = device.time()
    device.shell("am", "force-stop", package)
    extras = [
        "--es",
        "token",
        token,
        "--ei",
        "seconds",
        str(seconds),
        "--ez",
        "threads",
        str(threads).lower(),
    ]
    started = device.run("shell", "am", "start", "-W", "-n", f"{package}/{_ACTIVITY}", *extras)
    said = f"{started.stdout}\n{started.stderr}"
    if "Error" in said or started.returncode:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        line = next((line for line in lines if line.startswith("Error:")), (lines or ["no message"])[-1])
        raise PhoneError("the app does not start", found=line, do="install the APK first")
    result = _wait(device, package, token, since, timeout + seconds)
    if "error" in result:
        raise PhoneError(f"the app on {device.model} reports", found=result["error"])
    return SelfTestResult.from_json(result, serial=device.serial)


def _wait(device: Device, package: str, token: str, since: str, timeout: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    gone_at: float | None = None
    while time.monotonic() < deadline:
        result = _from_file(device, package, token) or _from_log(device, token, since)
        if result is not None:
            return result
        _raise_crash(device, package, since)
        running = device.shell("pidof", package).strip()
        gone_at = None if running else gone_at or time.monotonic()
        if gone_at is not None and time.monotonic() - gone_at > _CRASH_GRACE:
            raise PhoneError(f"the app on {device.model} ended without a result", do="adb logcat tells more")
        time.sleep(_POLL)
    raise PhoneError(
        f"the self-test on {device.model} does not end",
        found=f"nothing after {timeout:.0f} s",
        do="unlock the phone",
    )


def _from_file(device: Device, package: str, token: str) -> dict[str, Any] | None:
    return _parse(device.run("exec-out", "cat", _RESULT.format(package=package)).stdout, token)


def _from_log(device: Device, token: str, since: str) -> dict[str, Any] | None:
    """The result as the app logged it, in numbered parts; phones may hide the file from adb."""
    log = _log(device, since, "-s", f"{_TAG}:I")
    parts = re.findall(rf"^selftest {token} (\d+)/(\d+) (.*)$", log, re.MULTILINE)
    texts = {int(number): text for number, _, text in parts}
    if not parts or sorted(texts) != list(range(1, int(parts[0][1]) + 1)):
        return None
    return _parse("".join(texts[number] for number in sorted(texts)), token)


def _parse(text: str, token: str) -> dict[str, Any] | None:
    try:
        value = parse_json(text)
    except ValueError:  # no file, or one that is being written
        return None
    return value if isinstance(value, dict) and value.get("token") == token else None


def _log(device: Device, since: str, *arguments: str) -> str:
    """The device's log since a time of its own clock: others may need what is older.

    Through its shell: `adb logcat` waits for a device that is gone.
    """
    return device.shell("logcat", "-d", "-v", "raw", "-T", since, *arguments)


def _raise_crash(device: Device, package: str, since: str) -> None:
    """PhoneError with the line that says why, if the log holds a crash of the app."""
    log = _log(device, since, "-b", "crash")
    if package not in log:
        return
    telling = re.compile(r"^(Fatal signal|Abort message|Caused by|java\.|[\w.]+(Exception|Error)\b)")
    lines = [line.strip() for line in log.splitlines()]
    crash = next((line for line in lines if telling.match(line)), lines[0])
    raise PhoneError(f"the app crashed on {device.model}", found=crash[:300])

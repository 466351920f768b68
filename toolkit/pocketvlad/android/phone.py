"""On-phone checks over adb: install the APK, run the app's self-test, bring its answers back."""

from __future__ import annotations

import json
import re
import secrets
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad.android.adb import Device, find_device
from pocketvlad.android.apk import PROGRAM, check_apk
from pocketvlad.errors import PhoneError

PACKAGE = "org.pocketvlad.demo"
_ACTIVITY = f"{PACKAGE}/.SelfTestActivity"
_RESULT = f"/sdcard/Android/data/{PACKAGE}/files/selftest.json"
_TAG = "pocketvlad"
_TIMES = ("preprocess_ms", "inference_ms", "search_ms")
_POLL = 1.0  # seconds
_WAIT = 300.0  # seconds for a self-test
_CRASH_GRACE = 3.0  # seconds after the app has gone


def install(apk: Path, serial: str | None = None) -> dict[str, Any]:
    """Install the APK on the connected phone.

    Args:
        apk: a packaged APK; checked before it travels.
        serial: adb's name of the phone, where several are connected.

    Returns:
        JSON values: ``phone``, ``serial``, ``sdk``, ``abi``, ``package``, ``mb``.

    Raises:
        MissingToolError: no adb.
        PackageError: the APK is none a phone would take.
        PhoneError: no phone, or one that cannot take it.
    """
    device = find_device(serial)
    return _install(device, apk)


def test(apk: Path, serial: str | None = None, *, timeout: float = _WAIT) -> dict[str, Any]:
    """Install the APK, run its self-test on the phone and wait for the result.

    Returns:
        What the app wrote: ``passed``, ``device``, ``native``, ``pictures`` (cosine to the workstation's
        descriptor, same_top, times in ms), ``pss_kb``; and ``phone`` and ``serial``.

    Raises:
        MissingToolError, PackageError: as :func:`install`.
        PhoneError: also when the app crashes, refuses its files or does not end in ``timeout`` seconds.
    """
    device = find_device(serial)
    _install(device, apk)
    return {"phone": device.model, "serial": device.serial, **run_selftest(device, timeout)}


def bench(apk: Path, serial: str | None = None, *, runs: int = 5) -> dict[str, Any]:
    """Times on the phone beside this machine's for the same program, median over the self-test's pictures.

    Returns:
        ``rows``: one per ``where`` ("phone" or "host") with ``machine``, ``isa``, ``load_ms`` and the times.

    Raises:
        As :func:`test`.
    """
    result = test(apk, serial)
    pictures, native = result["pictures"], result["native"]
    times = {name: float(np.median([picture[name] for picture in pictures])) for name in _TIMES}
    phone = {"where": "phone", "machine": result["phone"], "isa": native["isa"], "load_ms": native["load_ms"]}
    return {"rows": [{**phone, **times}, host_row(apk, runs)], "phone": result}


def host_row(apk: Path, runs: int) -> dict[str, Any]:
    """The APK's program timed on this machine through the workstation's runtime."""
    from pocketvlad import machine
    from pocketvlad.core.native import isa
    from pocketvlad.runtime.latency import measure_latency

    with tempfile.TemporaryDirectory(prefix="pocketvlad-") as temporary:
        with zipfile.ZipFile(apk) as archive:
            program = Path(archive.extract(PROGRAM, temporary))
        latency = measure_latency({"host": program}, runs=runs)["host"]
    row = {"where": "host", "machine": machine.cpu_name(), "isa": isa(), "load_ms": latency.load_ms}
    return {**row, "preprocess_ms": None, "inference_ms": latency.median_ms, "search_ms": None}


def _install(device: Device, apk: Path) -> dict[str, Any]:
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
    device.install(apk, PACKAGE)
    about = {"phone": device.model, "serial": device.serial, "sdk": device.sdk, "abi": abi}
    return {**about, "package": report.package, "mb": report.bytes / 1e6}


def run_selftest(device: Device, timeout: float = _WAIT) -> dict[str, Any]:
    """Start the installed app's self-test and wait for its result, from its file or else from the log.

    Raises:
        PhoneError: the app is not installed, crashes, reports an error, or does not end in time.
    """
    token = secrets.token_hex(8)  # tells this run's answer from an older one
    device.run("logcat", "-c")
    device.shell("am", "force-stop", PACKAGE)
    started = device.run("shell", "am", "start", "-W", "-n", _ACTIVITY, "--es", "token", token)
    said = f"{started.stdout}\n{started.stderr}"
    if "Error" in said or started.returncode:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        line = next((line for line in lines if line.startswith("Error:")), (lines or ["no message"])[-1])
        raise PhoneError("the app does not start", found=line, do="pocketvlad phone install --apk A.apk")
    result = _wait(device, token, timeout)
    if "error" in result:
        raise PhoneError(f"the app on {device.model} reports", found=result["error"])
    return result


def _wait(device: Device, token: str, timeout: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    gone_at: float | None = None
    while time.monotonic() < deadline:
        result = _from_file(device, token) or _from_log(device, token)
        if result is not None:
            return result
        _raise_crash(device)
        running = device.shell("pidof", PACKAGE).strip()
        gone_at = None if running else gone_at or time.monotonic()
        if gone_at is not None and time.monotonic() - gone_at > _CRASH_GRACE:
            raise PhoneError(f"the app on {device.model} ended without a result", do="adb logcat tells more")
        time.sleep(_POLL)
    raise PhoneError(
        f"the self-test on {device.model} does not end",
        found=f"nothing after {timeout:.0f} s",
        do="unlock the phone",
    )


def _from_file(device: Device, token: str) -> dict[str, Any] | None:
    return _parse(device.run("exec-out", "cat", _RESULT).stdout, token)


def _from_log(device: Device, token: str) -> dict[str, Any] | None:
    """The result as the app logged it, in numbered parts; phones may hide the file from adb."""
    log = device.run("logcat", "-d", "-v", "raw", "-s", f"{_TAG}:I").stdout
    parts = re.findall(rf"^selftest {token} (\d+)/(\d+) (.*)$", log, re.MULTILINE)
    texts = {int(number): text for number, _, text in parts}
    if not parts or sorted(texts) != list(range(1, int(parts[0][1]) + 1)):
        return None
    return _parse("".join(texts[number] for number in sorted(texts)), token)


def _parse(text: str, token: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:  # no file, or one that is being written
        return None
    return value if isinstance(value, dict) and value.get("token") == token else None


def _raise_crash(device: Device) -> None:
    """PhoneError with the line that says why, if the log holds a crash of the app."""
    log = device.run("logcat", "-d", "-b", "crash", "-v", "raw").stdout
    if PACKAGE not in log:
        return
    telling = re.compile(r"^(Fatal signal|Abort message|Caused by|java\.|[\w.]+(Exception|Error)\b)")
    lines = [line.strip() for line in log.splitlines()]
    crash = next((line for line in lines if telling.match(line)), lines[0])
    raise PhoneError(f"the app crashed on {device.model}", found=crash[:300])

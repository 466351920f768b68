"""One Android device through adb, with errors a person can act on."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pocketvlad.android import adb_errors
from pocketvlad.errors import MissingToolError, PhoneError

CALL = 60  # seconds for an ordinary adb call
INSTALL = 600  # seconds: the APK goes over USB


@dataclass(frozen=True)
class Device:
    """A connected, authorised device.

    Attributes:
        adb: the program.
        serial: adb's name of it.
        model: for people.
        sdk: Android API level.
        abis: best first.
    """

    adb: str
    serial: str
    model: str
    sdk: int
    abis: tuple[str, ...]

    def run(self, *arguments: str, timeout: float = CALL) -> subprocess.CompletedProcess[str]:
        """An adb command for this device; a failed one is returned too.

        Raises:
            PhoneError: it does not answer in time, or is gone.
        """
        return _adb(self.adb, ["-s", self.serial, *arguments], timeout)

    def shell(self, *arguments: str, timeout: float = CALL) -> str:
        """What a shell command prints."""
        return self.run("shell", *arguments, timeout=timeout).stdout

    def time(self) -> str:
        """Seconds since 1970 by the device's own clock, as its logcat takes them.

        Raises:
            PhoneError: it does not say.
        """
        text = self.shell("date", "+%s").strip()
        if not text.isdigit():
            raise PhoneError(f"{self.model} does not say the time", found=repr(text))
        return f"{text}.000"

    def install(self, apk: Path, package: str) -> None:
        """Install an APK over an earlier one, keeping its data.

        Raises:
            PhoneError: the phone refuses it, and why.
        """
        result = self.run("install", "-r", str(apk), timeout=INSTALL)
        text = f"{result.stdout}\n{result.stderr}"
        if result.returncode == 0 and "Success" in text:
            return
        raise adb_errors.refusal(self.model, text, str(apk), package)


def find_device(serial: str | None = None) -> Device:
    """The connected device, or the one named.

    Raises:
        MissingToolError: no adb.
        PhoneError: no device, several and none named, or one that is not ready; what to do is said.
    """
    adb = shutil.which("adb")
    if adb is None:
        raise MissingToolError("adb is missing; it talks to phones", do="apt-get install adb")
    listing = _adb(adb, ["devices"], CALL)
    if listing.returncode:
        raise PhoneError("adb does not work", found=_last(listing.stderr))
    serial = _choose(_parse_devices(listing.stdout), serial or os.environ.get("ANDROID_SERIAL"))
    properties = ("ro.product.model", "ro.build.version.sdk", "ro.product.cpu.abilist")
    model, sdk, abis = (_property(adb, serial, name) for name in properties)
    if not sdk.isdigit():
        raise PhoneError(f"{serial} does not say which Android it runs", found=repr(sdk))
    return Device(adb, serial, model or serial, int(sdk), tuple(abis.split(",")))


def _parse_devices(text: str) -> dict[str, str]:
    """`adb devices`: serial -> state."""
    lines = [line for line in text.splitlines() if line and not line.startswith(("*", "List of"))]
    parts = [line.split(None, 1) for line in lines]
    return {part[0]: part[1].split(";")[0].strip() for part in parts if len(part) == 2}


def _choose(devices: dict[str, str], wanted: str | None) -> str:
    if not devices:
        raise PhoneError("no phone is connected", do="connect one by USB and turn on USB debugging")
    if wanted is not None and wanted not in devices:
        raise PhoneError(f"the phone {wanted} is not connected", found=", ".join(sorted(devices)))
    if wanted is None and len(devices) > 1:
        raise PhoneError(
            "several phones are connected", found=", ".join(sorted(devices)), do="choose one by its serial"
        )
    serial = wanted or next(iter(devices))
    if devices[serial] != "device":
        raise adb_errors.not_ready(serial, devices[serial])
    return serial


def _property(adb: str, serial: str, name: str) -> str:
    return _adb(adb, ["-s", serial, "shell", "getprop", name], CALL).stdout.strip()


def _adb(adb: str, arguments: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
    try:
        result = subprocess.run(
            [adb, *arguments], capture_output=True, text=True, errors="replace", timeout=timeout
        )
    except subprocess.TimeoutExpired as error:
        raise PhoneError(
            "the phone does not answer", found=f"nothing after {timeout:.0f} s", do="unlock it"
        ) from error
    except OSError as error:
        raise PhoneError("adb does not work", found=error.strerror) from error
    lost = adb_errors.lost(result.stderr) if result.returncode else None
    if lost is not None:
        raise lost
    return result


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]

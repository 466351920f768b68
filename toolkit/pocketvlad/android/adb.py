"""One Android device through adb, with errors a person can act on."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pocketvlad.errors import MissingToolError, PhoneError

_STATES = {
    "unauthorized": "unlock it and accept this computer's USB debugging key",
    "offline": "unplug it and plug it in again, or run `adb reconnect`",
    "no permissions": "add a udev rule for it, or run `adb kill-server` and start adb as root",
    "recovery": "let it start Android",
    "sideload": "let it start Android",
    "bootloader": "let it start Android",
}
_INSTALL = {
    "INSTALL_FAILED_UPDATE_INCOMPATIBLE": "another key signed the installed app: adb uninstall {package}",
    "INSTALL_FAILED_VERSION_DOWNGRADE": "a newer version is installed: adb uninstall {package}",
    "INSTALL_FAILED_INSUFFICIENT_STORAGE": "make room on the phone",
    "INSTALL_FAILED_USER_RESTRICTED": "allow `Install via USB` in the phone's developer options",
    "INSTALL_FAILED_NO_MATCHING_ABIS": "the phone has another processor than the APK's libraries",
    "INSTALL_FAILED_OLDER_SDK": "the phone's Android is too old",
}
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

    def install(self, apk: Path, package: str) -> None:
        """Install an APK over an earlier one, keeping its data.

        Raises:
            PhoneError: the phone refuses it, and why.
        """
        result = self.run("install", "-r", str(apk), timeout=INSTALL)
        text = f"{result.stdout}\n{result.stderr}"
        if result.returncode == 0 and "Success" in text:
            return
        known = next((code for code in _INSTALL if code in text), None)
        lines = [
            line.strip() for line in text.splitlines() if "Fail" in line or "failed" in line or "rror" in line
        ]
        do = _INSTALL[known].format(package=package) if known else None
        found = known or (lines or ["no message"])[-1][:300]
        raise PhoneError(f"{self.model} refuses the APK", found=found, do=do)


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
            "several phones are connected", found=", ".join(sorted(devices)), do="choose one with --serial"
        )
    serial = wanted or next(iter(devices))
    state = devices[serial]
    if state != "device":
        known = next((text for prefix, text in _STATES.items() if state.startswith(prefix)), None)
        raise PhoneError(f"the phone {serial} is not ready", found=state, do=known)
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
    gone = next((line for line in result.stderr.splitlines() if _is_gone(line)), None)
    if gone is not None:
        raise PhoneError("the phone is gone", found=gone.strip(), do="check the cable")
    return result


def _is_gone(line: str) -> bool:
    lost = ("not found", "offline", "no devices", "closed", "unauthorized")
    return line.startswith(("error:", "adb: ")) and "device" in line and any(word in line for word in lost)


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]

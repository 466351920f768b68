"""What adb and Android's installer say, as one line with what to do."""

from __future__ import annotations

import re

from pocketvlad.errors import PhoneError

# What a device's state, as `adb devices` lists it, asks of its owner.
_STATES = {
    "unauthorized": "unlock it and accept this computer's USB debugging key",
    "authorizing": "wait a moment, or unlock it and accept this computer's USB debugging key",
    "connecting": "wait a moment and try again",
    "offline": "unplug it and plug it in again, or run `adb reconnect`",
    "no permissions": "add a udev rule for it, or run `adb kill-server` and start adb as root",
    "recovery": "let it start Android",
    "sideload": "let it start Android",
    "bootloader": "let it start Android",
}
_UNINSTALL = "adb uninstall {package}"
# Codes of Android's PackageManager; a code stands for those that begin with it.
_REFUSALS = {
    "INSTALL_FAILED_UPDATE_INCOMPATIBLE": f"another key signed the installed app: {_UNINSTALL}",
    "INSTALL_PARSE_FAILED_INCONSISTENT_CERTIFICATES": f"another key signed the installed app: {_UNINSTALL}",
    "INSTALL_FAILED_VERSION_DOWNGRADE": f"a newer version is installed: {_UNINSTALL}",
    "INSTALL_FAILED_PERMISSION_DOWNGRADE": f"an app for newer phones is installed: {_UNINSTALL}",
    "INSTALL_FAILED_INSUFFICIENT_STORAGE": "make room on the phone",
    "INSTALL_FAILED_MEDIA_UNAVAILABLE": "make room on the phone",
    "INSTALL_FAILED_USER_RESTRICTED": "allow `Install via USB` in the phone's developer options and confirm there",
    "INSTALL_FAILED_ABORTED": "confirm the installation on the phone",
    "INSTALL_FAILED_NO_MATCHING_ABIS": "the phone has another processor than the APK's libraries",
    "INSTALL_FAILED_CPU_ABI_INCOMPATIBLE": "the phone has another processor than the APK's libraries",
    "INSTALL_FAILED_OLDER_SDK": "the phone's Android is too old for the app",
    "INSTALL_FAILED_NEWER_SDK": "the phone's Android is too new for the app",
    "INSTALL_FAILED_DEPRECATED_SDK_VERSION": "the app is made for an Android too old for the phone: package it again",
    "INSTALL_PARSE_FAILED_NO_CERTIFICATES": "the APK is not signed, or was damaged after signing: package it again",
    "INSTALL_PARSE_FAILED_CERTIFICATE": "the APK's signature is damaged: package it again",
    "INSTALL_PARSE_FAILED": "the APK is damaged: package it again",
    "INSTALL_FAILED_INVALID_APK": "the APK is damaged or was cut short on its way: package it again",
    "INSTALL_FAILED_DEXOPT": "the phone cannot prepare the app's code: make room on the phone",
    "INSTALL_FAILED_VERIFICATION": "turn off `Verify apps over USB` in the phone's developer options, or confirm there",
    "INSTALL_FAILED_TEST_ONLY": "the APK is marked as a test build: adb install -t",
    "INSTALL_FAILED_CONFLICTING_PROVIDER": "an app that shares a name with this one is installed: remove that one",
    "INSTALL_FAILED_DUPLICATE_PERMISSION": "an app that shares a name with this one is installed: remove that one",
    "INSTALL_FAILED_REJECTED_BY_BUILDTYPE": "the phone's system allows no such app",
    "INSTALL_FAILED_INTERNAL_ERROR": "start the phone again",
}  # fmt: skip
# Android's words where it gives no code.
_REFUSING_WORDS = {
    "not enough space": "make room on the phone",
    "No space left on device": "make room on the phone",
}
# What ends adb's own line (commandline.cpp, transport.cpp of adb) -> what to do.
_LOST = {
    r"device '[^']*' not found": "check the cable",
    r"device not found": "check the cable",
    r"device offline": _STATES["offline"],
    r"device unauthorized\.?": _STATES["unauthorized"],
    r"device still authorizing": _STATES["authorizing"],
    r"device still connecting": _STATES["connecting"],
    r"insufficient permissions for device.*": _STATES["no permissions"],
    r"no devices(/emulators)? found": "connect one by USB and turn on USB debugging",
    r"more than one device(/emulator| and emulator)?": "choose one by its serial",
    r"closed": "check the cable",
    r"protocol fault.*": "check the cable",
}


def not_ready(serial: str, state: str) -> PhoneError:
    """A connected device in another state than ``device``."""
    do = next((text for prefix, text in _STATES.items() if state.startswith(prefix)), None)
    return PhoneError(f"the phone {serial} is not ready", found=state, do=do)


def lost(stderr: str) -> PhoneError | None:
    """The error of an adb that has no device to talk to, or None when its message is of another kind."""
    for line in stderr.splitlines():
        own = re.match(r"(?:adb|error): (.*)$", line.strip())
        for pattern, do in _LOST.items() if own else ():
            if own and re.fullmatch(rf"(?:error: )?(?:[a-z ]*: )?{pattern}", own[1]):
                return PhoneError("the phone cannot be reached", found=own[1], do=do)
    return None


def refusal(model: str, text: str, apk: str, package: str) -> PhoneError:
    """Why a phone refused an APK, from what ``adb install`` printed."""
    said = text.replace(apk, "the APK")  # a file may be called like anything
    code = re.search(r"\bINSTALL_[A-Z_]+\b", said)
    if code is not None:
        do = next((text for known, text in _REFUSALS.items() if code[0].startswith(known)), None)
        detail = re.search(rf"{code[0]}: ([^\]\n]+)", said) if do is None else None
        found = f"{code[0]}: {detail[1]}" if detail else code[0]
        return PhoneError(
            f"{model} refuses the APK", found=found, do=do.format(package=package) if do else None
        )
    lines = [line.strip() for line in said.splitlines() if re.search(r"Fail|failed|[Ee]rror", line)]
    found = (lines or said.strip().splitlines() or ["no message"])[-1][:300]
    do = next((text for words, text in _REFUSING_WORDS.items() if words in said), None)
    return PhoneError(f"{model} refuses the APK", found=found, do=do)

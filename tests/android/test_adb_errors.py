"""Each failure of adb and of Android's installer: the real client's words, one line with what to do."""

from __future__ import annotations

import shutil

import pytest

from helpers.phones import SERIAL
from pocketvlad.android import adb_errors, phone
from pocketvlad.errors import PhoneError

REFUSALS = [  # as Android's PackageManager prints them
    (
        "INSTALL_PARSE_FAILED_NO_CERTIFICATES: Failed to collect certificates from /data/app/base.apk",
        "is not signed",
    ),
    ("INSTALL_FAILED_INVALID_APK: /data/app/vmdl.tmp/base.apk", "damaged or was cut short.*package it again"),
    ("INSTALL_PARSE_FAILED_NOT_APK: Failed to parse /data/app/base.apk", "is damaged: package it again"),
    ("INSTALL_FAILED_VERIFICATION_FAILURE", "turn off `Verify apps over USB`"),
    ("INSTALL_FAILED_TEST_ONLY: installPackageLI", "adb install -t"),
    (
        "INSTALL_FAILED_CONFLICTING_PROVIDER: Scanning Failed.: Can't install because",
        "installed: remove that one",
    ),
    ("INSTALL_FAILED_DUPLICATE_PERMISSION: Package x attempting to redeclare", "installed: remove that one"),
    ("INSTALL_FAILED_DEPRECATED_SDK_VERSION: App package must target at least SDK 24", "package it again"),
    ("INSTALL_FAILED_INSUFFICIENT_STORAGE", "make room on the phone"),
    ("INSTALL_FAILED_NO_MATCHING_ABIS: Failed to extract native libraries, res=-113", "another processor"),
    (
        "INSTALL_FAILED_UPDATE_INCOMPATIBLE: Existing package org.pocketvlad.demo signatures do not match",
        "another key .*: adb uninstall org.pocketvlad.demo",
    ),
    (
        "INSTALL_FAILED_VERSION_DOWNGRADE: Downgrade detected",
        "newer version .*: adb uninstall org.pocketvlad.demo",
    ),
    ("INSTALL_FAILED_USER_RESTRICTED: Install canceled by user", "allow `Install via USB`"),
    ("INSTALL_FAILED_OLDER_SDK: Requires newer sdk version #26", "too old for the app"),
    ("INSTALL_FAILED_ABORTED: User rejected permissions", "confirm the installation"),
    ("INSTALL_FAILED_NEVER_HEARD_OF: A new reason", "found INSTALL_FAILED_NEVER_HEARD_OF: A new reason$"),
]


@pytest.mark.parametrize(("failure", "message"), REFUSALS, ids=[code for code, _ in REFUSALS])
def test_a_refusal(adb, package, failure, message):
    adb.installation = f"Failure [{failure}]\n"
    with pytest.raises(PhoneError, match=f"Pixel 7 refuses the APK; .*{message}") as caught:
        phone.install(package.apk)
    assert "\n" not in str(caught.value)


def test_a_refusal_without_a_code(adb, package):
    adb.installation = "Error: java.io.IOException: Requested internal only, but not enough space\n"
    with pytest.raises(PhoneError, match="not enough space; make room on the phone"):
        phone.install(package.apk)


@pytest.mark.parametrize(
    "name", ["device-closed", "device offline", "INSTALL_FAILED_OLDER_SDK", "device 'x' not found"]
)
def test_a_files_name_is_no_failure(adb, package, tmp_path, name):
    apk = tmp_path / name / "demo: closed.apk"
    apk.parent.mkdir()
    shutil.copy(package.apk, apk)
    adb.installation = "Failure [INSTALL_FAILED_INSUFFICIENT_STORAGE]\n"
    with pytest.raises(PhoneError, match="found INSTALL_FAILED_INSUFFICIENT_STORAGE; make room"):
        phone.install(apk)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("device offline", "found device offline; unplug it"),
        (
            "device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set\n",
            "unauthorized.; unlock it and accept",
        ),
        ("device still authorizing", "authorizing; wait a moment"),
        (f"device '{SERIAL}' not found", "not found; check the cable"),
        ("no devices/emulators found", "found no devices/emulators found; connect one by USB"),
        ("more than one device/emulator", "more than one device/emulator; choose one by its serial"),
        ("closed", "found closed; check the cable"),
    ],
)
def test_a_phone_that_is_lost_after_it_was_listed(adb, package, said, message):
    adb.lost = said
    with pytest.raises(PhoneError, match=f"the phone cannot be reached; .*{message}") as caught:
        phone.install(package.apk)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "adb: failed to install device-closed/demo.apk: Failure [INSTALL_FAILED_INSUFFICIENT_STORAGE]",
        "adb: failed to stat device offline.apk: No such file or directory",
        "error: this closed",
        "cat: device offline",
        "",
    ],
)
def test_other_messages_do_not_mean_a_lost_phone(line):
    assert adb_errors.lost(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "adb: connect error for write: device offline",
        "adb: error: failed to get feature set: no devices/emulators found",
        "error: device 'X' not found",
        "error: insufficient permissions for device: user in plugdev group; are your udev rules wrong?",
        "error: protocol fault (couldn't read status): Success",
    ],
)
def test_every_prefix_of_adb_is_known(line):
    assert adb_errors.lost(line) is not None

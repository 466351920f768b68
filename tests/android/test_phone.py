"""The way to a phone: the real `adb` client against a scripted server; no phone can be attached here."""

from __future__ import annotations

import json
import os
import shlex
import stat
import sys
from dataclasses import replace

import pytest

from helpers.adb_server import Rule
from helpers.phones import FAILED, MODEL_RULES, NO_FILE, PICTURE, REASON, RESULT, SERIAL, THREADS, wrote
from pocketvlad.android import phone
from pocketvlad.android.results import Sustained
from pocketvlad.errors import MissingToolError, PhoneError


def test_no_adb(package, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match=r"adb is missing.*apt-get install adb"):
        phone.install(package.apk)


def test_a_hanging_adb(monkeypatch, package, tmp_path):
    program = tmp_path / "adb"
    program.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("pocketvlad.android.adb.CALL", 0.5)
    with pytest.raises(PhoneError, match="the phone does not answer"):
        phone.install(package.apk)


@pytest.mark.parametrize(
    ("devices", "serial", "message"),
    [
        ({}, None, "no phone is connected; connect one by USB and turn on USB debugging"),
        (
            {"A": "device", "B": "device"},
            None,
            "several phones are connected; found A, B; choose one by its serial",
        ),
        ({"A": "unauthorized"}, None, "the phone A is not ready; found unauthorized; unlock it and accept"),
        ({"A": "authorizing"}, None, "the phone A is not ready; found authorizing; wait a moment"),
        ({"A": "offline"}, None, "the phone A is not ready; found offline; unplug it"),
        ({"A": "no permissions (user in plugdev group); see [url]"}, None, "found no permissions .*udev"),
        ({"A": "device"}, "B", "the phone B is not connected; found A"),
    ],
)
def test_unusable_devices(adb, package, devices, serial, message):
    adb.devices = devices
    with pytest.raises(PhoneError, match=message) as caught:
        phone.install(package.apk, serial)
    assert "\n" not in str(caught.value)


def test_serial_of_the_environment(adb, package, monkeypatch):
    adb.devices = {"A": "device", "B": "device"}
    monkeypatch.setenv("ANDROID_SERIAL", "B")
    assert phone.install(package.apk).serial == "B"


def test_install(adb, package):
    installed = phone.install(package.apk)
    assert adb.installed == [package.apk.read_bytes()]
    assert "'-r'" in adb.commands[-1]
    assert installed.to_json() == {
        "phone": "Pixel 7",
        "serial": SERIAL,
        "sdk": 34,
        "abi": "arm64-v8a",
        "package": "org.pocketvlad.demo",
        "mb": package.apk.stat().st_size / 1e6,
    }


@pytest.mark.parametrize(
    ("pattern", "out", "message"),
    [
        ("abilist", "armeabi-v7a\n", "no library for Pixel 7; found armeabi-v7a; allowed: arm64-v8a, x"),
        ("version.sdk", "25\n", "Pixel 7 is too old for the app; found API 25; allowed: 26 or newer"),
        ("version.sdk", "\n", "does not say which Android it runs"),
    ],
)
def test_a_phone_that_cannot_take_it(adb, package, pattern, out, message):
    adb.rules = [Rule(pattern, out), *MODEL_RULES]
    with pytest.raises(PhoneError, match=message):
        phone.install(package.apk)
    assert not adb.installed


def test_the_phones_log_is_read_from_the_start_on_and_never_cleared(adb, package):
    text = json.dumps(RESULT)
    half = len(text) // 2
    log = f"selftest old 1/1 {{}}\nselftest TOKEN 2/2 {text[half:]}\nselftest TOKEN 1/2 {text[:half]}\n"
    adb.rules = [NO_FILE, Rule("logcat.*-s pocketvlad:I", log), *MODEL_RULES]
    result = phone.test(package.apk)
    assert result.to_json()["pictures"] == [PICTURE]
    logs = [shlex.split(command) for command in adb.commands if "logcat" in command]
    assert logs and all("-c" not in log for log in logs)
    assert all(log[log.index("-T") + 1] == "1790000000.000" for log in logs)


def test_result_from_the_file(adb, package):
    adb.rules = [wrote(RESULT), *MODEL_RULES]
    result = phone.test(package.apk)
    assert result.passed and result.device.serial == SERIAL and result.machine == "Google Pixel 7"
    assert result.native.isa == "neon_dotprod" and result.memory.peak_kb == 120_000
    started = next(command for command in adb.commands if command.startswith("am start"))
    assert "-n org.pocketvlad.demo/org.pocketvlad.demo.selftest.SelfTestActivity --es token" in started


def test_a_result_that_disagrees(adb, package):
    adb.rules = [wrote(FAILED), *MODEL_RULES]
    result = phone.test(package.apk)
    assert not result.passed and result.reasons == (REASON,)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({**RESULT, "format": 1}, "of another version; found format 1; allowed: 2; package the APK again"),
        ({**RESULT, "pictures": []}, "the APK's self-test has no pictures; package it again, with photos"),
        ({**RESULT, "native": {}}, "the self-test's result is damaged"),
        ({**RESULT, "pictures": [{**PICTURE, "search_ms": []}]}, "is damaged; found no search_ms"),
        ({"token": "TOKEN", "passed": False, "error": "The index is damaged"}, "reports; found The index is"),
    ],
)
def test_a_result_that_is_none(adb, package, result, message):
    adb.rules = [wrote(result), *MODEL_RULES]
    with pytest.raises(PhoneError, match=message) as caught:
        phone.test(package.apk)
    assert "\n" not in str(caught.value)


def test_an_older_result_does_not_count(adb, package):
    adb.rules = [wrote({**RESULT, "token": "yesterday"}), *MODEL_RULES]
    with pytest.raises(PhoneError, match="the self-test on Pixel 7 does not end; found nothing after 0 s"):
        phone.test(package.apk, timeout=0.2)


CRASH = """--------- beginning of crash
FATAL EXCEPTION: selftest
Process: org.pocketvlad.demo, PID: 4711
java.lang.UnsatisfiedLinkError: dlopen failed: library "libfbjni.so" not found
\tat java.lang.Runtime.loadLibrary0(Runtime.java:1082)
"""
SIGILL = """Fatal signal 4 (SIGILL), code 1 (ILL_ILLOPC), fault addr 0x7b in tid 4712 (selftest)
Cmdline: org.pocketvlad.demo
"""


@pytest.mark.parametrize(
    ("log", "line"),
    [(CRASH, 'UnsatisfiedLinkError: dlopen failed: library "libfbjni.so" not found$'), (SIGILL, "SIGILL")],
)
def test_crash(adb, package, log, line):
    adb.rules = [NO_FILE, Rule("-b crash", log), *MODEL_RULES]
    with pytest.raises(PhoneError, match=f"the app crashed on Pixel 7; found .*{line}"):
        phone.test(package.apk)


def test_no_result(adb, package):
    adb.rules = [NO_FILE, Rule("^pidof", exit=1), *MODEL_RULES]
    with pytest.raises(PhoneError, match="ended without a result"):
        phone.test(package.apk)


def test_an_app_that_does_not_start(adb, package):
    missing = Rule("am start", "Error type 3\nError: Activity class {x} does not exist.\n")
    adb.rules = [missing, *MODEL_RULES]
    with pytest.raises(PhoneError, match="the app does not start; found Error: Activity class {x} does not"):
        phone.test(package.apk)


def test_a_phone_unplugged_while_the_test_runs(adb, package):
    class Unplugged(str):
        """The answer after which the cable is out."""

        def replace(self, *_):
            adb.lost = f"device '{SERIAL}' not found"
            return str(self)

    adb.rules = [replace(NO_FILE, out=Unplugged()), *MODEL_RULES]
    with pytest.raises(PhoneError, match="the phone cannot be reached; found device .*; check the cable"):
        phone.test(package.apk)


def test_bench_beside_this_machine(adb, package):
    adb.rules = [wrote(RESULT), *MODEL_RULES]
    result = phone.bench(package.apk, runs=2)
    stages = {stage.stage: stage for stage in result.stages}
    assert list(stages) == ["preprocess", "inference", "search"]
    assert (stages["inference"].phone_p50, stages["inference"].phone_p90) == (21.0, pytest.approx(28.2))
    assert stages["inference"].phone_p99 == pytest.approx(29.82)
    assert all(0 < stage.host_p50 <= stage.host_p90 for stage in result.stages)
    assert result.host.runs == 2 and len(result.host.pictures[0].search_ms) == 2


def test_bench_by_threads(adb, package):
    """Numbers of threads that only one of the two was run with stand alone."""
    adb.rules = [wrote({**RESULT, "scaling": THREADS}), *MODEL_RULES]
    result = phone.bench(package.apk, runs=2)
    assert any("--ez threads true" in command for command in adb.commands)
    rows = {row.threads: row for row in result.threads}
    assert (rows[1].phone_p50, rows[1].phone_p99) == (42.0, pytest.approx(43.96))
    assert list(rows) == [*range(1, min(8, os.cpu_count()) + 1), 64]
    assert rows[1].host_p50 > 0 and rows[64].host_p50 is None and rows[64].phone_p50 == 12
    assert type(result.phone).from_json(result.phone.to_json()) == result.phone


def test_a_minute_without_a_pause(adb, package):
    minute = {"seconds": 60, "runs": 900, "first_ms": 21.0, "last_ms": 33.5, "thermal_before": 0,
              "thermal_after": 2, "headroom": None}  # fmt: skip
    adb.rules = [wrote({**RESULT, "sustained": minute}), *MODEL_RULES]
    result = phone.test(package.apk, seconds=60)
    assert result.sustained == Sustained(60, 900, 21.0, 33.5, 0, 2)
    assert any("--ei seconds 60" in command for command in adb.commands)
    assert type(result).from_json(result.to_json()) == result

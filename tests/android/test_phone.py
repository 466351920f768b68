"""The way to a phone, against a scripted `adb`: no real one can be attached to a test machine."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pocketvlad.android import phone
from pocketvlad.errors import MissingToolError, PhoneError

FAKE = """#!{python}
import json, pathlib, re, sys
folder = pathlib.Path(__file__).parent
line = " ".join(sys.argv[1:])
with open(folder / "calls", "a") as calls:
    calls.write(line + "\\n")
started = re.search(r"--es token (\\w+)", line)
if started:
    (folder / "token").write_text(started[1])
token = (folder / "token").read_text() if (folder / "token").exists() else "none"
for pattern, answer in json.loads((folder / "script.json").read_text()):
    if re.search(pattern, line):
        sys.stdout.write(answer.get("out", "").replace("TOKEN", token))
        sys.stderr.write(answer.get("err", ""))
        sys.exit(answer.get("exit", 0))
sys.exit(0)
"""
DEVICE = [
    ["^devices$", {"out": "List of devices attached\nABC123\tdevice\n\n"}],
    ["getprop ro.product.model", {"out": "Pixel 7\n"}],
    ["getprop ro.build.version.sdk", {"out": "34\n"}],
    ["getprop ro.product.cpu.abilist", {"out": "arm64-v8a,armeabi-v7a,armeabi\n"}],
    ["install -r", {"out": "Performing Streamed Install\nSuccess\n"}],
    ["am start", {"out": "Starting: Intent { }\nStatus: ok\n"}],
    ["pidof", {"out": "4711\n"}],
]
PICTURE = {
    "name": "a.jpg", "cosine": 0.99999, "same_top": True, "passed": True,
    "preprocess_ms": 4.0, "inference_ms": 20.0, "search_ms": 0.1,
}  # fmt: skip
NATIVE = {"isa": "neon_dotprod", "load_ms": 12.5}
RESULT = {"format": 1, "token": "TOKEN", "passed": True, "native": NATIVE, "pictures": [PICTURE]}
Script = Callable[..., Path]


@pytest.fixture
def adb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Puts a scripted adb first on PATH; rules given come before the ordinary device's."""

    def write(*rules: list, device: bool = True) -> Path:
        program = tmp_path / "adb"
        program.write_text(FAKE.format(python=sys.executable))
        program.chmod(program.stat().st_mode | stat.S_IEXEC)
        (tmp_path / "script.json").write_text(json.dumps([*rules, *(DEVICE if device else [])]))
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.delenv("ANDROID_SERIAL", raising=False)
        return tmp_path

    return write


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone, "_POLL", 0.01)
    monkeypatch.setattr(phone, "_CRASH_GRACE", 0.05)


def devices(*lines: str) -> list:
    return ["^devices$", {"out": "\n".join(["List of devices attached", *lines, "", ""])}]


def test_no_adb(package, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match=r"adb is missing.*apt-get install adb"):
        phone.install(package.apk)


@pytest.mark.parametrize(
    ("listing", "serial", "message"),
    [
        ([], None, "no phone is connected; connect one by USB and turn on USB debugging"),
        (["A\tdevice", "B\tdevice"], None, "several phones are connected; found A, B; choose one"),
        (["A\tunauthorized"], None, "the phone A is not ready; found unauthorized; unlock it"),
        (["A\toffline"], None, "the phone A is not ready; found offline"),
        (["A\tno permissions (user in plugdev group); see [url]"], None, "found no permissions .*udev"),
        (["A\tdevice"], "B", "the phone B is not connected; found A"),
    ],
)
def test_unusable_devices(adb, package, listing, serial, message):
    adb(devices(*listing))
    with pytest.raises(PhoneError, match=message) as caught:
        phone.install(package.apk, serial)
    assert "\n" not in str(caught.value)


def test_serial_of_the_environment(adb, package, monkeypatch):
    folder = adb(devices("A\tdevice", "B\tdevice"))
    monkeypatch.setenv("ANDROID_SERIAL", "B")
    assert phone.install(package.apk)["serial"] == "B"
    assert f"-s B install -r {package.apk}" in (folder / "calls").read_text()


def test_install(adb, package):
    adb()
    installed = phone.install(package.apk)
    assert installed["phone"] == "Pixel 7" and installed["abi"] == "arm64-v8a" and installed["sdk"] == 34
    assert installed["mb"] == package.apk.stat().st_size / 1e6


OTHER_KEY = "adb: failed to install a.apk: Failure [INSTALL_FAILED_UPDATE_INCOMPATIBLE: Existing package]\n"


@pytest.mark.parametrize(
    ("command", "answer", "message"),
    [
        (
            "abilist",
            {"out": "armeabi-v7a\n"},
            "no library for Pixel 7; found armeabi-v7a; allowed: arm64-v8a, x",
        ),
        (
            "version.sdk",
            {"out": "25\n"},
            "Pixel 7 is too old for the app; found API 25; allowed: 26 or newer",
        ),
        ("version.sdk", {"out": "\n"}, "does not say which Android it runs"),
        (
            "install",
            {"err": OTHER_KEY, "exit": 1},
            "INCOMPATIBLE; another key .* adb uninstall org.pocketvlad.demo",
        ),
        (
            "install",
            {"out": "Failure [INSTALL_PARSE_FAILED]\n", "exit": 1},
            "found Failure .INSTALL_PARSE_FAILED",
        ),
        (
            "install",
            {"err": "error: device 'A' not found\n", "exit": 1},
            "the phone is gone; found error: device",
        ),
    ],
)
def test_refused_installation(adb, package, command, answer, message):
    adb([command, answer])
    with pytest.raises(PhoneError, match=message) as caught:
        phone.install(package.apk)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("quick")
def test_result_from_the_file(adb, package):
    folder = adb(["exec-out cat", {"out": json.dumps(RESULT)}])
    result = phone.test(package.apk)
    assert result["passed"] and result["phone"] == "Pixel 7" and result["pictures"] == [PICTURE]
    calls = (folder / "calls").read_text()
    assert "am start -W -n org.pocketvlad.demo/.SelfTestActivity --es token" in calls


@pytest.mark.usefixtures("quick")
def test_result_from_the_log_in_parts(adb, package):
    text = json.dumps(RESULT)
    half = len(text) // 2
    log = f"selftest old 1/1 {{}}\nselftest TOKEN 2/2 {text[half:]}\nselftest TOKEN 1/2 {text[:half]}\n"
    adb(["exec-out cat", {"err": "cat: Permission denied", "exit": 1}], ["-s pocketvlad:I", {"out": log}])
    assert phone.test(package.apk)["pictures"] == [PICTURE]


@pytest.mark.usefixtures("quick")
def test_an_older_result_does_not_count(adb, package):
    adb(["exec-out cat", {"out": json.dumps({**RESULT, "token": "yesterday"})}])
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


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("log", "line"),
    [(CRASH, 'UnsatisfiedLinkError: dlopen failed: library "libfbjni.so" not found$'), (SIGILL, "SIGILL")],
)
def test_crash(adb, package, log, line):
    adb(["-b crash", {"out": log}])
    with pytest.raises(PhoneError, match=f"the app crashed on Pixel 7; found .*{line}"):
        phone.test(package.apk)


REFUSED = json.dumps({"token": "TOKEN", "passed": False, "error": "The place index is damaged"})
NO_ACTIVITY = "Error type 3\nError: Activity class {x} does not exist.\n"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("command", "answer", "message"),
    [
        ("pidof", {"exit": 1}, "ended without a result"),
        (
            "am start",
            {"out": NO_ACTIVITY},
            "the app does not start; found Error: Activity class {x} does not",
        ),
        ("exec-out cat", {"out": REFUSED}, "the app on Pixel 7 reports; found The place index is damaged"),
    ],
)
def test_no_result(adb, package, command, answer, message):
    adb([command, answer])
    with pytest.raises(PhoneError, match=message):
        phone.test(package.apk)


@pytest.mark.usefixtures("quick")
def test_bench_beside_this_machine(adb, package):
    adb(["exec-out cat", {"out": json.dumps(RESULT)}])
    on_phone, here = phone.bench(package.apk, runs=1)["rows"]
    assert on_phone["inference_ms"] == 20.0 and on_phone["isa"] == "neon_dotprod"
    assert here["where"] == "host" and here["inference_ms"] > 0
    assert on_phone.keys() == here.keys()


def test_a_hanging_adb(adb, monkeypatch, package):
    folder = adb()
    (folder / "adb").write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    monkeypatch.setattr("pocketvlad.android.adb.CALL", 0.5)
    with pytest.raises(PhoneError, match="the phone does not answer"):
        phone.install(package.apk)

"""`pocketvlad phone` and `package --check` as a user meets them: exit status, stdout, stderr, seconds."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import pocketvlad
from helpers.adb_server import Rule
from helpers.packages import write_apk
from helpers.phones import FAILED, MODEL_RULES, REASON, RESULT, THREADS, wrote
from helpers.refusals import refused
from pocketvlad.android import emulate, selftest

TOOLKIT = Path(pocketvlad.__file__).parents[1]
RUN = "import sys; from pocketvlad.cli import main; sys.argv = ['pocketvlad', *{arguments}]\ntry: main()\nfinally: "
LOADED = "print([name for name in ('torch', 'executorch', 'torchvision') if name in sys.modules])"


def test_a_phone_that_agrees(adb, run, package):
    adb.rules = [wrote(RESULT), *MODEL_RULES]
    code, out, _ = run("phone", "test", "--apk", package.apk)
    assert code == 0
    for words in ("a.jpg", "passed  yes", "Google Pixel 7, API 34", "neon_dotprod", "threads  4"):
        assert words in out


def test_a_phone_that_disagrees_is_exit_status_1_with_the_reasons(adb, run, package):
    adb.rules = [wrote(FAILED), *MODEL_RULES]
    code, out, err = run("phone", "test", "--apk", package.apk)
    assert code == 1
    assert "passed  no" in out and "Google Pixel 7" in out and "neon_dotprod" in out
    assert err.splitlines()[-1] == f"error Google Pixel 7 disagrees with the workstation; found {REASON}"
    code, out, err = run("phone", "test", "--apk", package.apk, "--json")
    assert code == 1 and json.loads(out)["reasons"] == [REASON] and REASON in err


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the x86_64 library needs an x86_64 machine")
def test_an_emulated_phone_that_disagrees(run, package, tmp_path, monkeypatch):
    manifest = json.loads(package.selftest[selftest.MANIFEST])
    manifest["pictures"][1]["top"] = manifest["pictures"][0]["top"]
    files = {**package.selftest, selftest.MANIFEST: json.dumps(manifest).encode()}
    write_apk(tmp_path / "a.apk", replace(package, selftest=files))
    real = emulate.run_selftest
    monkeypatch.setattr(
        emulate, "run_selftest", lambda apk, cpu, abi: real(apk, abi="x86_64")
    )  # qemu is slow
    code, out, err = run("phone", "test", "--emulate", "--apk", tmp_path / "a.apk")
    assert code == 1 and "passed  no" in out and "this machine" in out
    assert "error this machine (x86_64) disagrees" in err and "rows [" in err


def test_bench_prints_its_stages(adb, run, package):
    adb.rules = [wrote({**RESULT, "scaling": THREADS}), *MODEL_RULES]
    code, out, _ = run("phone", "bench", "--apk", package.apk)
    assert code == 0
    table = {line.split()[0]: line.split() for line in out.splitlines() if line.split()}
    for stage in ("preprocess", "inference", "search"):
        assert stage in out
    assert out.split().count("p50") == out.split().count("p99") == 4
    assert "milliseconds of the program by threads" in out
    assert [row for row in out.splitlines() if row.split()[:2] == ["64", "12"]]
    assert "21" in next(line for line in out.splitlines() if "inference" in line)
    assert "neon_dotprod" in out and table
    code, out, _ = run("phone", "bench", "--apk", package.apk, "--json")
    result = json.loads(out)
    assert code == 0 and [stage["stage"] for stage in result["stages"]] == [
        "preprocess",
        "inference",
        "search",
    ]
    assert result["phone"].keys() == result["host"].keys()


def test_install(adb, run, package):
    code, out, err = run("phone", "install", "--apk", package.apk)
    assert code == 0 and "Pixel 7" in out and not err
    adb.installation = "Failure [INSTALL_FAILED_TEST_ONLY: installPackageLI]\n"
    refused(run("phone", "install", "--apk", package.apk), "INSTALL_FAILED_TEST_ONLY", "adb install -t")


@pytest.mark.parametrize("command", ["test", "bench"])
def test_an_empty_selftest_is_one_line(adb, run, package, command):
    adb.rules = [wrote({**RESULT, "pictures": []}), *MODEL_RULES]
    refused(run("phone", command, "--apk", package.apk), "self-test has no pictures", "package it again")


@pytest.mark.parametrize("command", ["test", "bench"])
def test_a_crash_is_one_line(adb, run, package, command):
    crash = Rule("-b crash", "Fatal signal 4 (SIGILL)\nCmdline: org.pocketvlad.demo\n")
    adb.rules = [crash, *MODEL_RULES]
    refused(run("phone", command, "--apk", package.apk), "the app crashed on Pixel 7", "SIGILL")


@pytest.mark.parametrize(
    "arguments",
    [
        ["phone", "install", "--apk", "none.apk"],
        ["phone", "test", "--apk", "none.apk"],
        ["phone", "bench", "--apk", "none.apk"],
        ["package", "--check", "none.apk"],
        ["--help"],
        ["phone", "test", "--help"],
    ],
    ids=" ".join,
)
def test_no_torch_where_none_is_needed(arguments, tmp_path):
    """Its import takes seconds, and no phone needs it."""
    command = [sys.executable, "-c", RUN.format(arguments=arguments) + LOADED]
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": str(TOOLKIT)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr
    if arguments[0] == "phone" and "--help" not in arguments:
        assert "error adb is missing; it talks to phones; apt-get install adb" in result.stderr


@pytest.mark.parametrize("command", [("package", "--check"), ("phone", "test", "--emulate", "--apk")])
def test_an_apk_that_is_not_there_is_called_so(run, tmp_path, command):
    """Not: without a self-test."""
    line = refused(run(*command, tmp_path / "no.apk"), "no.apk", "; found No such file or directory")
    assert "self-test" not in line and "Errno" not in line


def test_one_of_several_phones_is_chosen_by_an_option(adb, run, package):
    adb.devices = {"A": "device", "B": "device"}
    refused(run("phone", "test", "--apk", package.apk), "found A, B; choose one with --serial")

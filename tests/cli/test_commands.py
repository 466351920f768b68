"""The command line itself: measuring, this machine's tools, programs it must not run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.refusals import refused


def test_damaged_programs_and_packages(run, chain, tmp_path):
    damaged = tmp_path / "cut.pte"
    damaged.write_bytes(chain["model.pte"].read_bytes()[:1000])
    refused(run("bench", damaged), "cut.pte")
    (tmp_path / "a.apk").write_bytes(b"PK")
    refused(run("package", "--check", tmp_path / "a.apk"), "not a readable APK")


def test_a_bench_times_every_op(run, chain):
    code, out, _ = run("bench", chain["model.pte"], "--runs", 3, "--profile", "--json")
    (ops,) = json.loads(out)["ops"].values()
    ours = {op["op"]: op["calls"] for op in ops if op["by"] == "pocketvlad"}
    assert code == 0 and ours == {"lut_conv2d": 25, "lut_linear": 1, "vlad_pool": 1}
    assert sum(op["share"] for op in ops) == pytest.approx(1) and all(op["ms"] >= 0 for op in ops)
    assert {"XNNPACK", "ExecuTorch"} <= {op["by"] for op in ops} and ops[-1]["op"] == "between the ops"


def test_a_missing_compiler_is_one_line(run, chain, photos, tmp_path, monkeypatch):
    """In a fresh cache and with no program on the path, kernels cannot be built."""
    environment = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "pocketvlad", "bench", str(chain["model.pte"])]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "compiler" in result.stderr and "apt-get install" in result.stderr


def test_the_doctor_lists_tools(run):
    code, out, _ = run("doctor", "--json")
    tools = {tool["name"]: tool for tool in json.loads(out)["tools"]}
    assert code == 0 and tools["python"]["present"] and "adb" in tools
    assert tools["torch"]["present"] and tools["torch"]["detail"]


def test_a_program_of_other_ops_is_refused(run, chain, tmp_path, monkeypatch):
    from pocketvlad.lut import contract

    monkeypatch.setattr(contract, "VERSION", contract.VERSION + 1)
    other = tmp_path / "other.pte"
    assert run("export", chain["small.safetensors"], "--out", other)[0] == 0
    monkeypatch.undo()
    result = run_again(other)
    assert result.returncode == 1 and "other lookup ops" in result.stderr and "Traceback" not in result.stderr


def run_again(program: Path):
    """`pocketvlad bench` in a process of its own: the runtime would abort this one if the check failed."""
    command = [sys.executable, "-m", "pocketvlad", "bench", str(program)]
    return subprocess.run(command, capture_output=True, text=True, check=False)

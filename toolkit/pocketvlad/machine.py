"""What this machine is and has: for provenance, for the benchmark's header and for `pocketvlad doctor`."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

_CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512vbmi", "amx_int8", "asimd", "asimddp", "i8mm", "sve")


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report: what was looked for, whether it is there, how to get it."""

    name: str
    present: bool
    detail: str
    needed_for: str
    install: str


def cpu_name() -> str:
    """The processor's own name, or the architecture where it has none."""
    for line in _cpuinfo():
        if line.startswith(("model name", "Hardware")):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def isa() -> str:
    """Architecture and the SIMD extensions our kernels and their peers care about."""
    for line in _cpuinfo():
        if line.startswith(("flags", "Features")):
            found = set(line.split(":", 1)[1].split())
            return " ".join([platform.machine(), *(flag for flag in _CPU_FLAGS if flag in found)])
    return platform.machine()


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []


def describe() -> dict[str, str | int]:
    """Processor, ISA, cores and system, as printed above every table."""
    return {
        "cpu": cpu_name(),
        "isa": isa(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


_TOOLS = (
    (("c++", "g++", "clang++"), "the host kernels", "apt-get install g++"),
    (("npm",), "the Android runtime, unless pip's node is installed", "pip install 'pocketvlad[android]'"),
    (("adb",), "real phones", "apt-get install adb"),
    (("qemu-aarch64-static", "qemu-aarch64"), "phone test --emulate", "apt-get install qemu-user-static"),
    (("aarch64-linux-gnu-gcc",), "phone test --emulate", "apt-get install g++-aarch64-linux-gnu"),
    (("javac",), "Robolectric tests and rebuilding the app template", "apt-get install default-jdk-headless"),
    (("mvn",), "Robolectric tests and rebuilding the app template", "apt-get install maven"),
    (("apksigner",), "a second opinion on the APK's signature", "apt-get install apksigner"),
    (("clang",), "fuzzing and sanitizer builds", "apt-get install clang"),
)


def diagnose() -> list[Finding]:
    """Every outside program some part of pocketvlad uses, found or not."""
    findings = [
        Finding(
            "python", sys.version_info >= (3, 11), platform.python_version(), "everything", "Python 3.11+"
        )
    ]
    for names, needed_for, install in _TOOLS:
        path = next((found for name in names if (found := shutil.which(name))), None)
        findings.append(Finding(names[0], path is not None, path or "missing", needed_for, install))
    return findings

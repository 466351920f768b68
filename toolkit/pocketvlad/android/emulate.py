"""Runs an APK's own unmodified libraries on this machine: arm64 under qemu, x86_64 as it is.

Android's C library is stood in for by a small shim on glibc (:mod:`.shim_build`); everything else, the app's
library and the runtime, are the bytes of the APK. Times under qemu mean nothing.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad.android import runtime, selftest
from pocketvlad.android.entries import INDEX, PROGRAM, stored_entry
from pocketvlad.android.native import LIBRARIES, LIBRARY, build_libraries
from pocketvlad.android.results import EMULATED, HOST, DeviceFacts, Memory, NativeFacts, SelfTestResult
from pocketvlad.android.shim_build import shim_folder
from pocketvlad.errors import MissingToolError, PackageError, PhoneError
from pocketvlad.unfinished import scratch_folder

_MACHINES = {"arm64-v8a": ("aarch64", "arm64"), "x86_64": ("x86_64", "AMD64")}
_SYSROOTS = ("/usr/aarch64-linux-gnu", "/usr/aarch64-linux-gnu/sys-root")
_LOADER = "lib/ld-linux-aarch64.so.1"
_SME_OFF = ",sme=off"  # qemu 7.2's outer products of int8 (SMOPA) are wrong: qemu issue 2083
_TIMEOUT = 900  # seconds; qemu is about 20 times slower than the machine under it


def run_selftest(
    apk: Path, *, cpu: str | None = None, abi: str = "arm64-v8a", isa: str = "best", runs: int = 1
) -> SelfTestResult:
    """Run the APK's self-test with its own libraries and compare with the workstation's answers.

    Args:
        apk: a packaged APK.
        cpu: qemu's name of a CPU (``cortex-a53`` has no dot product, ``cortex-a76`` has); None: all it can but
            SME.
        abi: ``arm64-v8a`` or ``x86_64``.
        isa: kernels to use (``scalar``, ``neon``, ``avx2``, …) instead of the best the CPU has.
        runs: descriptions of each picture.

    Returns:
        The result, of EMULATED or, for this machine's own ABI, HOST; memory with the libraries' beginnings.

    Raises:
        MissingToolError: qemu or its C library is missing.
        PackageError: the APK has no self-test, or no libraries for the ABI.
        PhoneError: the library refuses the program, crashes, or does not end.
    """
    manifest, found = selftest.read_manifest(apk), answered(apk, cpu=cpu, abi=abi, isa=isa, runs=runs)
    pictures, reasons = selftest.judge(manifest, found.answers)
    return SelfTestResult(
        where=found.where,
        passed=not reasons,
        reasons=reasons,
        device=found.device,
        native=found.native,
        runs=runs,
        pictures=pictures,
        memory=found.memory,
    )


@dataclass(frozen=True, eq=False)
class Answered:
    """What an APK's own libraries say of its self-test's pictures; see :class:`SelfTestResult`."""

    where: str
    device: DeviceFacts
    native: NativeFacts
    answers: tuple[selftest.Answer, ...]
    memory: Memory


def answered(
    apk: Path, *, cpu: str | None = None, abi: str = "arm64-v8a", isa: str = "best", runs: int = 1
) -> Answered:
    """The answers of the APK's own libraries, compared with nothing; arguments and errors as :func:`run_selftest`."""
    manifest = selftest.read_manifest(apk)
    with scratch_folder() as folder:
        machine = _machine(abi, cpu)
        libraries = extract_libraries(apk, abi, folder)
        _add_shim(abi, libraries, folder)
        arguments = [str(folder / LIBRARY), str(apk), *_mapped(apk, PROGRAM), *_mapped(apk, INDEX)]
        arguments += [isa, str(runs), *_pictures(apk, manifest, folder)]
        info, *answers, memory = (json.loads(line) for line in _run(machine, folder, arguments))
    return Answered(
        EMULATED if machine.command else HOST,
        DeviceFacts(machine.name, None, abi),
        NativeFacts(**{**info, "image_size": tuple(info["image_size"])}),
        tuple(selftest.Answer(**answer) for answer in answers),
        Memory(**memory),
    )


def runtime_names(abi: str = "arm64-v8a", executorch: runtime.Runtime = runtime.FULL) -> dict[str, Any]:
    """What the shipped libraries register at run time: ``runtime``, ``ops`` and ``backends``, sorted.

    This is where ``phone_ops.json`` and ``phone_ops_small.json`` come from.

    Raises:
        MissingToolError: zig, npm or qemu is missing.
    """
    with scratch_folder() as folder:
        libraries = build_libraries(folder, [abi], executorch)[abi]
        _add_shim(abi, libraries, folder / abi)
        lines = _run(_machine(abi, None), folder / abi, [str(folder / abi / LIBRARY), "names"])
    split = lines.index("")
    return {
        "runtime": executorch.name,
        "ops": sorted(set(lines[:split])),
        "backends": sorted(lines[split + 1 :]),
    }


def host_preload(apk: Path, folder: Path) -> Path:
    """Make the APK's x86_64 libraries loadable in a JVM of this machine.

    Args:
        apk: whose libraries.
        folder: existing; gets the libraries and the shim, and is to be the JVM's ``java.library.path``.

    Returns:
        ``libpreload.so``: the JVM calls ``System.load`` on it before ``System.loadLibrary("pocketvlad")``.

    Raises:
        PhoneError: this is no x86_64 Linux.
        PackageError: the APK has no x86_64 libraries.
    """
    _machine("x86_64", None)
    _add_shim("x86_64", extract_libraries(apk, "x86_64", folder), folder)
    return folder / "libpreload.so"


def extract_libraries(apk: Path, abi: str, folder: Path) -> list[Path]:
    """Copy the APK's libraries of one ABI, byte for byte.

    Raises:
        PackageError: it has none.
    """
    paths = []
    try:
        with zipfile.ZipFile(apk) as archive:
            for name in LIBRARIES:
                paths.append(folder / name)
                paths[-1].write_bytes(archive.read(f"lib/{abi}/{name}"))
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise PackageError(f"{apk} has no libraries for {abi}", found=str(error)) from error
    return paths


@dataclass(frozen=True)
class _Machine:
    """How to run a program of an ABI here: a command before it, the libraries' root, a name for people."""

    name: str
    command: tuple[str, ...]
    sysroot: Path | None


def _machine(abi: str, cpu: str | None) -> _Machine:
    if abi not in _MACHINES:
        raise PhoneError("unknown ABI", found=abi, allowed=", ".join(_MACHINES))
    if sys.platform != "linux":
        raise PhoneError(
            "the emulated phone needs Linux", found=sys.platform, do="use a real phone or a container"
        )
    host = platform.machine()
    if host in _MACHINES[abi] and cpu is None:
        return _Machine(f"this machine ({host})", (), None)
    if abi != "arm64-v8a":
        raise PhoneError(f"{abi} libraries run only on an {abi} machine as it is", found=cpu or host)
    qemu = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if qemu is None:
        raise MissingToolError(
            "qemu is missing; it runs the phone's arm64 libraries",
            do="apt-get install qemu-user-static libc6-arm64-cross",
        )
    cpu = cpu or "max"
    known = subprocess.run([qemu, "-cpu", "help"], capture_output=True, text=True).stdout.split()
    if cpu not in known:
        raise PhoneError("qemu knows no such CPU", found=cpu, do=f"{Path(qemu).name} -cpu help lists them")
    sysroot = _sysroot()
    features = _SME_OFF if cpu == "max" and _has_sme(qemu) else ""
    return _Machine(f"qemu {cpu}", (qemu, "-cpu", cpu + features, "-L", str(sysroot)), sysroot)


def _has_sme(qemu: str) -> bool:
    """Whether this qemu emulates SME (7.1 and newer)."""
    text = subprocess.run([qemu, "--version"], capture_output=True, text=True).stdout
    version = re.search(r"version (\d+)\.(\d+)", text)
    return version is not None and (int(version[1]), int(version[2])) >= (7, 1)


def _sysroot() -> Path:
    for name in (os.environ.get("QEMU_LD_PREFIX"), *_SYSROOTS):
        if name and (Path(name) / _LOADER).exists():
            return Path(name)
    raise MissingToolError(
        "an arm64 C library is missing; the emulated phone runs on it", do="apt-get install libc6-arm64-cross"
    )


def _add_shim(abi: str, libraries: Sequence[Path], folder: Path) -> None:
    shim = shim_folder(abi, libraries)
    for path in [*shim.glob("*.so"), shim / "runner"]:
        shutil.copy(path, folder)


def _mapped(apk: Path, name: str) -> list[str]:
    entry = stored_entry(apk, name)
    return [str(entry.offset), str(entry.length)]


def _pictures(apk: Path, manifest: selftest.SelfTest, folder: Path) -> list[str]:
    arguments = []
    for number, pixels in enumerate(selftest.read_pictures(apk, manifest)):
        raw = folder / f"{number}.rgbx"
        raw.write_bytes(np.ascontiguousarray(pixels).tobytes())
        height, width = pixels.shape[:2]
        arguments += [str(width), str(height), str(len(manifest.pictures[number].rows)), str(raw)]
    return arguments


def _run(machine: _Machine, folder: Path, arguments: Sequence[str]) -> list[str]:
    """Lines the runner prints on standard output."""
    paths = [folder, *([machine.sysroot / "lib"] if machine.sysroot else [])]
    search = f"LD_LIBRARY_PATH={':'.join(map(str, paths))}"
    command = [str(folder / "runner"), *arguments]
    command = [*machine.command, "-E", search, *command] if machine.command else ["env", search, *command]
    try:
        result = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise PhoneError("the emulated phone does not answer", found=f"nothing after {_TIMEOUT} s") from error
    if result.returncode:
        raise PhoneError(_failure(machine, result))
    return result.stdout.splitlines()


def _failure(machine: _Machine, result: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    said = next((line[8:] for line in reversed(lines) if line.startswith("runner: ")), None)
    if said is not None:
        return f"the app's library on {machine.name}: {said}"
    code = result.returncode
    number = -code if code < 0 else code - 128
    crash = signal.Signals(number).name if 0 < number < signal.NSIG else f"exit status {code}"
    return f"the app's library crashed on {machine.name}: {crash} {' '.join(lines[-1:])}"

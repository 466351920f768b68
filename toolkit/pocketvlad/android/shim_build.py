"""Builds the bionic-on-glibc shim and the runner for one ABI on this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pocketvlad.android.cache import cached_folder, content_key
from pocketvlad.android.elf import read_library
from pocketvlad.errors import MissingToolError, PhoneError

_SOURCES = Path(__file__).parent / "shim"
_COMPILERS = {"arm64-v8a": "aarch64-linux-gnu-gcc", "x86_64": "gcc"}
_PACKAGES = {"arm64-v8a": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross", "x86_64": "gcc"}
# bionic's name -> glibc's
_RENAMED = {
    "__errno": "__errno_location",
    "strerror_r": "__xpg_strerror_r",
    "__gnu_strerror_r": "strerror_r",
}
_FLAGS = ("-O2", "-fPIC", "-w", "-fno-stack-protector")


def shim_folder(abi: str, libraries: Sequence[Path]) -> Path:
    """A folder with Android's system libraries on glibc, ``runner`` and ``libpreload.so``.

    Args:
        abi: ``arm64-v8a`` or ``x86_64``.
        libraries: whose imports the shim must satisfy.

    Raises:
        MissingToolError: no (cross) compiler.
        PhoneError: the shim does not build, for example because a library imports something unknown.
    """
    compiler = shutil.which(_COMPILERS[abi])
    if compiler is None:
        raise MissingToolError(
            f"{_COMPILERS[abi]} is missing; it builds the emulated phone's C library",
            do=f"apt-get install {_PACKAGES[abi]}",
        )
    needed = _imports(libraries)
    key = content_key(_SOURCES.iterdir(), repr(sorted(needed)), compiler)
    return cached_folder(f"shim-{abi}-{key}", lambda folder: _build(compiler, abi, needed, folder))


def _imports(libraries: Sequence[Path]) -> set[tuple[str, str]]:
    """(symbol, version) of everything the libraries import from Android's system libraries."""
    read = [read_library(path) for path in libraries]
    return {(name, version) for library in read for name, version in library.undefined.items() if version}


def _build(compiler: str, abi: str, needed: set[tuple[str, str]], folder: Path) -> None:
    source = (_SOURCES / "libc.c").read_text()
    own = set(re.findall(r"\bSHIM(?:DATA)?\((\w+)\)", source))
    trampolines = [_trampoline(abi, *symbol) for symbol in sorted(needed) if symbol[0] not in own]
    (folder / "trampolines.S").write_text("\n".join(trampolines) + '\n.section .note.GNU-stack,"",%progbits\n')
    versions = [f'__asm__(".symver shim_{n},{n}@{v}");' for n, v in sorted(needed) if n in own]
    (folder / "versions.h").write_text("\n".join(versions) + "\n")
    (folder / "versions.map").write_text(_version_map({version for _, version in needed}))
    (folder / "empty.c").write_text("")
    script = f"-Wl,--version-script={folder / 'versions.map'}"

    def shared(name: str, *sources: Path, options: Sequence[str] = ()) -> None:
        _run([compiler, "-shared", *_FLAGS, *map(str, sources), f"-Wl,-soname,{name}", *options, "-o", str(folder / name)])

    libc = [f"-I{folder}", script, "-Wl,--no-as-needed", "-lm", "-ldl", "-Wl,-z,defs"]
    shared("libc.so", _SOURCES / "libc.c", folder / "trampolines.S", options=libc)
    for name in ("libm.so", "libdl.so"):
        shared(name, folder / "empty.c", options=[script])
    shared("libandroid.so", folder / "empty.c")
    shared("liblog.so", _SOURCES / "log.c")
    shared("libpreload.so", _SOURCES / "preload.c", options=["-ldl"])
    _run([compiler, "-O1", "-w", str(_SOURCES / "runner.c"), "-o", str(folder / "runner"), "-ldl"])


def _trampoline(abi: str, name: str, version: str) -> str:
    target, label = _RENAMED.get(name, name), f"to_{name}"
    jump = {
        "x86_64": f"  jmp *{target}@GOTPCREL(%rip)",
        "arm64-v8a": f"  adrp x16,:got:{target}\n  ldr x16,[x16,:got_lo12:{target}]\n  br x16",
    }[abi]
    head = f".text\n.p2align 4\n.globl {label}\n.type {label},%function\n{label}:\n{jump}"
    return f"{head}\n.size {label},.-{label}\n.symver {label},{name}@{version}"


def _version_map(versions: set[str]) -> str:
    text, previous = "", ""
    for version in sorted(versions):
        text += f"{version} {{ }} {previous};\n"
        previous = version
    return text


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no message"])[0]
        raise PhoneError("the emulated phone's C library does not build", found=reason[:300])

"""Builds the bionic-on-glibc shim and the runner for one ABI."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pocketvlad.android.elf import read_library
from pocketvlad.android.zig import Zig, find_zig
from pocketvlad.core.cache import cached_folder, content_key
from pocketvlad.errors import PackageError

_SOURCES = Path(__file__).parent / "shim"
# the oldest C library of a Linux that is still supported: what is built against it runs on newer ones
_TARGETS = {"arm64-v8a": "aarch64-linux-gnu.2.31", "x86_64": "x86_64-linux-gnu.2.31"}
# bionic's name -> glibc's
_RENAMED = {
    "__errno": "__errno_location",
    "strerror_r": "__xpg_strerror_r",
    "__gnu_strerror_r": "strerror_r",
}
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_FLAGS = ("-O2", "-fPIC", "-w", "-fno-stack-protector")


def shim_folder(abi: str, libraries: Sequence[Path]) -> Path:
    """A folder with Android's system libraries on glibc, ``runner`` and ``libpreload.so``.

    Args:
        abi: ``arm64-v8a`` or ``x86_64``.
        libraries: whose imports the shim must satisfy.

    Raises:
        MissingToolError: no zig.
        PackageError: the shim does not build, for example because a library imports something unknown.
    """
    zig, needed = find_zig(), _imports(libraries)
    key = content_key([*_SOURCES.glob("*.c"), Path(__file__)], repr(sorted(needed)), zig.version)
    return cached_folder(f"shim-{abi}-{key}", lambda folder: _build(zig, abi, needed, folder))


def _imports(libraries: Sequence[Path]) -> set[tuple[str, str]]:
    """(symbol, version) of everything the libraries import from Android's system libraries."""
    read = [read_library(path) for path in libraries]
    found = {(name, version) for library in read for name, version in library.undefined.items() if version}
    odd = next((symbol for symbol in found if not all(map(_SYMBOL.fullmatch, symbol))), None)
    if odd is not None:  # they become assembler text
        raise PackageError("a library imports something that is no C symbol", found=repr("@".join(odd)))
    return found


def _build(zig: Zig, abi: str, needed: set[tuple[str, str]], folder: Path) -> None:
    source = (_SOURCES / "libc.c").read_text()
    own = set(re.findall(r"\bSHIM(?:DATA)?\((\w+)\)", source))
    trampolines = [_trampoline(abi, *symbol) for symbol in sorted(needed) if symbol[0] not in own]
    trampolines.append('.section .note.GNU-stack,"",%progbits\n')
    (folder / "trampolines.S").write_text("\n".join(trampolines))
    versions = [f'__asm__(".symver shim_{n},{n}@{v}");' for n, v in sorted(needed) if n in own]
    (folder / "versions.h").write_text("\n".join(versions) + "\n")
    (folder / "versions.map").write_text(_version_map({version for _, version in needed}))
    (folder / "empty.c").write_text("")
    script = f"-Wl,--version-script={folder / 'versions.map'}"

    def build(*arguments: str) -> None:
        zig.run("cc", "-target", _TARGETS[abi], *arguments)

    def shared(name: str, *sources: Path, options: Sequence[str] = ()) -> None:
        build(
            "-shared", *_FLAGS, *map(str, sources), f"-Wl,-soname,{name}", *options, "-o", str(folder / name)
        )

    libc = [f"-I{folder}", script, "-Wl,--no-as-needed", "-lm", "-ldl", "-Wl,-z,defs"]
    shared("libc.so", _SOURCES / "libc.c", folder / "trampolines.S", options=libc)
    for name in ("libm.so", "libdl.so"):
        shared(name, folder / "empty.c", options=[script])
    shared("libandroid.so", folder / "empty.c")
    shared("liblog.so", _SOURCES / "log.c")
    shared("libpreload.so", _SOURCES / "preload.c", options=["-ldl"])
    build("-O1", str(_SOURCES / "runner.c"), "-o", str(folder / "runner"), "-ldl")


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

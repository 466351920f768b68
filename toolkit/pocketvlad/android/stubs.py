"""Link-time stand-ins for Android's system libraries: the symbols a known-good library imports, no code.

The phone's own libc, libm, libdl and liblog are loaded at run time; a linker only wants their names and
symbol versions. What the prebuilt runtime imports is what phones of its API level have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pocketvlad.android.elf import SharedLibrary

Tool = Callable[[Sequence[str]], None]

_NAMES = """acos asin atan atan2 cbrt ceil cos cosh erf erfc exp exp2 expm1 fabs floor fma fmax fmin fmod
frexp hypot ldexp lgamma log log10 log1p log2 logb lrint lround llround modf nearbyint nextafter pow
remainder rint round scalbn sin sincos sinh sqrt tan tanh tgamma trunc acosh asinh atanh"""
MATH = frozenset(_NAMES.split()) | {f"{name}f" for name in _NAMES.split()}
LOADER = frozenset({"dlopen", "dlsym", "dlclose", "dlerror", "dladdr", "dl_iterate_phdr"})
LOG = frozenset({f"__android_log_{name}" for name in ("print", "vprint", "write", "assert")})
# imports of ours the runtime happens not to have; all are in bionic since API 21
_EXTRA = ("munmap", "mmap", "getauxval", "clock_gettime", "posix_memalign", "snprintf", "memcmp", "qsort")
_DATA = {"stderr": 8, "stdout": 8, "stdin": 8, "__sF": 456, "environ": 8}
_TRAP = {"arm64-v8a": "brk #1", "x86_64": "ud2"}


def make_system_stubs(runtime: SharedLibrary, folder: Path, assemble: Tool, link: Tool) -> None:
    """``libc.so``, ``libm.so``, ``libdl.so`` and ``liblog.so`` for linking against, in ``folder``."""
    known = MATH | LOADER | LOG
    libc: dict[str, str] = {
        name: version for name, version in runtime.undefined.items() if version and name not in known
    }
    libc |= {name: "LIBC" for name in _EXTRA if name not in libc}
    _stub("libc", libc, folder, assemble, link)
    _stub("libm", dict.fromkeys(MATH, "LIBC"), folder, assemble, link)
    _stub("libdl", dict.fromkeys(LOADER, "LIBC"), folder, assemble, link)
    _stub("liblog", dict.fromkeys(LOG, ""), folder, assemble, link)


def make_fbjni_stub(runtime: SharedLibrary, out: Path, assemble: Tool, link: Tool) -> None:
    """A ``libfbjni.so`` that satisfies the loader; its functions trap, since ours never calls them."""
    names = sorted(name for name in runtime.undefined if name.startswith(("_ZN8facebook", "_ZNK8facebook")))
    trap = _TRAP[runtime.abi]
    body = "".join(f".globl {n}\n.type {n},%function\n{n}: {trap}\n.size {n},4\n" for n in names)
    source, code = out.with_suffix(".s"), out.with_suffix(".o")
    source.write_text(f'.text\n{body}.section .note.GNU-stack,"",%progbits\n')
    assemble(["-c", "-x", "assembler", str(source), "-o", str(code)])
    options = ["-shared", "-soname", "libfbjni.so", "-z", "max-page-size=16384", "--hash-style=gnu", "-s"]
    link([*options, "-o", str(out), str(code)])


def _stub(name: str, symbols: Mapping[str, str], folder: Path, assemble: Tool, link: Tool) -> None:
    source, code, script = (folder / f"{name}.{kind}" for kind in ("s", "o", "map"))
    source.write_text("".join(_symbol(symbol) for symbol in sorted(symbols)))
    assemble(["-c", "-x", "assembler", str(source), "-o", str(code)])
    versions = _version_script(symbols)
    script.write_text(versions)
    versioned = [f"--version-script={script}"] if versions else []
    link(["-shared", "-soname", f"{name}.so", *versioned, "-o", str(folder / f"{name}.so"), str(code)])


def _symbol(name: str) -> str:
    if name in _DATA:
        size = _DATA[name]
        return f".globl {name}\n.type {name},%object\n.bss\n{name}: .zero {size}\n.size {name},{size}\n"
    return f".globl {name}\n.type {name},%function\n.text\n{name}: .zero 4\n.size {name},4\n"


def _version_script(symbols: Mapping[str, str]) -> str:
    groups: dict[str, list[str]] = defaultdict(list)
    for name, version in symbols.items():
        if version:
            groups[version].append(name)
    text, previous = "", ""
    for version in sorted(groups):
        local = " local: *;" if version == "LIBC" else ""
        text += f"{version} {{ global: {'; '.join(sorted(groups[version]))};{local} }} {previous};\n"
        previous = version
    return text

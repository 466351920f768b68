"""The app's native library, built for each ABI without an NDK from the sources an NDK build uses."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from pocketvlad.android import runtime, stubs
from pocketvlad.android.elf import read_library
from pocketvlad.android.loader import check_libraries
from pocketvlad.android.zig import Zig, find_zig
from pocketvlad.core.cache import cached_folder, content_key
from pocketvlad.errors import PackageError
from pocketvlad.resources import resource_dir

LIBRARY = "libpocketvlad.so"
LIBRARIES = (LIBRARY, "libexecutorch_jni.so", "libfbjni.so")
_BIONIC = Path(__file__).parent / "bionic"
_PARTS = ("lut", "preprocess", "program", "search")
_SMALL = frozenset({"program", "adapters", "cpp"})  # folders of code that runs once an opening or a call
# files that do, that NEON stands in for everywhere, or that are for many queries at once, which no app has
_ONCE = frozenset({"dispatch", "pvix", "scalar", "scalar_search", "batch"})
_DRIVERS = frozenset(
    {"linear", "int8_conv", "int8_depthwise"}
)  # arrange work for kernels, where the time goes
SYMBOLS = "symbols"  # folder beside the libraries: ours with names and lines, for crash reports
_MACHINE = {"arm64-v8a": "aarch64", "x86_64": "x86_64"}
_MARCH = {
    "arm64-v8a": ["-march=armv8-a", "-mno-outline-atomics"],
    "x86_64": ["-march=x86-64", "-msse4.2", "-mpopcnt"],
}
_COMMON = """-fPIC -fvisibility=hidden -ffunction-sections -fdata-sections -fstack-protector-strong -gline-tables-only
-ffp-contract=off -nostdinc -Wall"""
_CXX = """-std=c++17 -fno-exceptions -fno-rtti -fvisibility-inlines-hidden -nostdinc++
-D_LIBCPP_ABI_NAMESPACE=__ndk1 -D_LIBCPP_ABI_VERSION=1 -D_LIBCPP_HAS_NO_VENDOR_AVAILABILITY_ANNOTATIONS
-D_LIBCPP_HAS_MUSL_LIBC -D_LIBCPP_PSTL_CPU_BACKEND_SERIAL
-D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_NONE -D_LIBCPP_VERBOSE_ABORT(...)=__builtin_abort()
-DC10_USING_CUSTOM_GENERATED_MACROS -DET_USE_THREADPOOL -DPV_THREADPOOL_OBJECT -DNDEBUG"""
_LINK = """-shared -soname libpocketvlad.so -z now -z relro -z noexecstack -z max-page-size=16384
--hash-style=gnu --gc-sections --icf=all --no-undefined --allow-shlib-undefined --as-needed
--eh-frame-hdr"""


def require_known(abis: Sequence[str]) -> None:
    """Raises PackageError for an ABI that no library is built for."""
    unknown = sorted(set(abis) - set(runtime.ABIS))
    if unknown:
        raise PackageError("unknown ABI", found=", ".join(unknown), allowed=", ".join(runtime.ABIS))


def build_libraries(
    out_dir: Path | None = None,
    abis: Sequence[str] = runtime.ABIS,
    executorch: runtime.Runtime = runtime.FULL,
) -> dict[str, list[Path]]:
    """The libraries an APK carries, by ABI: ours, the runtime, and the stand-in for fbjni.

    Compiled once per content of the sources and kept in the user's cache.

    Args:
        out_dir: copies go to ``out_dir/<abi>/``; without it the cached files themselves are named.
        abis: of ``arm64-v8a`` and ``x86_64``.
        executorch: the runtime.

    Raises:
        MissingToolError: no zig or npm.
        PackageError: an unknown ABI, sources that do not compile, or a result Android's loader would refuse.
    """
    require_known(abis)
    zig, key = find_zig(), sources_key(executorch)
    built = {}
    for abi in abis:
        folder = cached_folder(f"android-{abi}-{key}", partial(_build, zig, abi, executorch))
        built[abi] = [folder / name for name in LIBRARIES]
        if out_dir is not None:
            (out_dir / abi).mkdir(parents=True, exist_ok=True)
            built[abi] = [Path(shutil.copy(path, out_dir / abi / path.name)) for path in built[abi]]
    return built


def copy_symbols(folder: Path, abis: Sequence[str], executorch: runtime.Runtime = runtime.FULL) -> None:
    """Write ``folder/<abi>/libpocketvlad.so`` with names and lines, for ``ndk-stack`` or ``llvm-symbolizer``.

    The APK's own library has the same build id and the same addresses.

    Raises:
        MissingToolError, PackageError: as :func:`build_libraries`.
    """
    for abi, libraries in build_libraries(abis=abis, executorch=executorch).items():
        (folder / abi).mkdir(parents=True, exist_ok=True)
        shutil.copy(libraries[0].parent / SYMBOLS / LIBRARY, folder / abi / LIBRARY)


def sources_key(executorch: runtime.Runtime = runtime.FULL) -> str:
    """Hex digits over all that decides the libraries' bytes: sources, compiler, the runtime ``executorch``.

    Raises:
        MissingToolError: no zig.
    """
    files = [*_sources(), *_headers(), *_BIONIC.glob("*.[ch]"), Path(__file__), Path(stubs.__file__)]
    return content_key(files, find_zig().version, executorch.sha256)


def _sources() -> list[Path]:
    kernels = resource_dir("kernels")
    core = [path for part in _PARTS for path in sorted((kernels / part).glob("*.c"))]
    return [*core, kernels / "adapters/executorch.cpp", *sorted(_app_folder().glob("*.cpp"))]


def _headers() -> list[Path]:
    kernels = resource_dir("kernels")
    files = [*_app_folder().glob("*.h"), _app_folder() / "exports.map"]
    included = [
        path for part in _PARTS for path in (kernels / part).iterdir() if path.suffix in (".h", ".inc")
    ]
    return [*files, *included, *(kernels / "adapters").glob("*.h")]


def _app_folder() -> Path:
    return resource_dir("android_demo") / "app/src/main/cpp"


def _build(zig: Zig, abi: str, executorch: runtime.Runtime, out: Path) -> None:
    work = out / "work"
    work.mkdir()
    target = f"--target={_MACHINE[abi]}-linux-android26"

    def compile_(arguments: Sequence[str]) -> None:
        zig.run("clang", target, *arguments)

    def link(arguments: Sequence[str]) -> None:
        zig.run("ld.lld", *arguments)

    original = runtime.library(abi, executorch)
    imported = read_library(original)
    stubs.make_system_stubs(imported, work, compile_, link)
    stubs.make_fbjni_stub(imported, work / "libfbjni.so", compile_, link)
    objects = {
        work / f"{source.parent.name}-{source.stem}.o": source for source in [*_sources(), _BIONIC / "crt.c"]
    }
    commands = [
        [*compiler_options(zig, abi, source, executorch), "-c", str(source), "-o", str(compiled)]
        for compiled, source in objects.items()
    ]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(compile_, commands))
    script = f"--version-script={_app_folder() / 'exports.map'}"
    libraries = [str(original), f"-L{work}", "-lc", "-lm", "-llog", "-ldl"]
    identity = hashlib.sha1(
        f"{sources_key(executorch)} {abi}".encode()
    ).hexdigest()  # of both: tools pair them by it
    command = [*_LINK.split(), script, f"--build-id=0x{identity}", *map(str, objects), *libraries]
    (out / SYMBOLS).mkdir()
    link([*command, "-o", str(out / SYMBOLS / LIBRARY)])
    link([*command, "-s", "-o", str(out / LIBRARY)])
    shutil.copy(work / "libfbjni.so", out / "libfbjni.so")
    shutil.copy(original, out / original.name)
    check_libraries({name: read_library(out / name) for name in LIBRARIES})
    shutil.rmtree(work)


def compiler_options(
    zig: Zig, abi: str, source: Path, executorch: runtime.Runtime = runtime.FULL
) -> list[str]:
    """Compiler options for one source: C sees zig's C headers, C++ the runtime's and libc++'s as well."""
    small = source.parent.name in _SMALL or source.stem in _ONCE
    speed = "-Os" if small else "-O2" if source.stem in _DRIVERS else "-O3"
    named = {
        "kernels": resource_dir("kernels"),
        "cpp": _app_folder(),
        "runtime": runtime.runtime_folder(executorch),
        "zig": zig.folder,
    }
    options = [
        speed,
        *_MARCH[abi],
        *_COMMON.split(),
        *(f"-ffile-prefix-map={f}={n}" for n, f in named.items()),
    ]
    options += ["-include", str(_BIONIC / "declarations.h")]
    options += [f"-I{resource_dir('kernels')}"]
    headers = zig.headers(_MACHINE[abi])
    if source.suffix == ".c":
        return [*options, "-std=gnu11", *headers[2:]]
    include = runtime.runtime_folder(executorch) / "include"
    third_party = [include, include / "pthreadpool", include / "cpuinfo"]
    options += [option for folder in third_party for option in ("-isystem", str(folder))]
    return [*options, *_CXX.split(), *headers]

"""The app's native library, built for each ABI without an NDK from the sources an NDK build uses."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pocketvlad.android import runtime
from pocketvlad.android.cache import cached_folder, content_key
from pocketvlad.android.elf import SharedLibrary, read_library
from pocketvlad.android.stubs import make_fbjni_stub, make_system_stubs, stub_symbols
from pocketvlad.errors import MissingToolError, PackageError
from pocketvlad.resources import resource_dir

LIBRARY = "libpocketvlad.so"
_BIONIC = Path(__file__).parent / "bionic"
_PARTS = ("lut", "preprocess", "search")
_MACHINE = {"arm64-v8a": "aarch64", "x86_64": "x86_64"}
_MARCH = {
    "arm64-v8a": ["-march=armv8-a", "-mno-outline-atomics"],
    "x86_64": ["-march=x86-64", "-msse4.2", "-mpopcnt"],
}
_COMMON = """-O3 -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections -fstack-protector-strong
-ffp-contract=off -nostdinc -Wall""".split()
_CXX = """-std=c++17 -fno-exceptions -fno-rtti -fvisibility-inlines-hidden -nostdinc++
-D_LIBCPP_ABI_NAMESPACE=__ndk1 -D_LIBCPP_ABI_VERSION=1 -D_LIBCPP_HAS_NO_VENDOR_AVAILABILITY_ANNOTATIONS
-D_LIBCPP_HAS_MUSL_LIBC -D_LIBCPP_PSTL_CPU_BACKEND_SERIAL
-D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_NONE -D_LIBCPP_VERBOSE_ABORT(...)=__builtin_abort()
-DC10_USING_CUSTOM_GENERATED_MACROS -DET_USE_THREADPOOL -DPV_THREADPOOL_OBJECT -DNDEBUG""".split()
_LINK = """-shared -soname libpocketvlad.so -z now -z relro -z noexecstack -z max-page-size=16384
--hash-style=gnu --build-id=sha1 --gc-sections --no-undefined --allow-shlib-undefined --as-needed
--eh-frame-hdr -s""".split()
_SYSTEM = frozenset({"libc.so", "libm.so", "libdl.so", "liblog.so", "libandroid.so"})
PAGE = 16384  # bytes: the largest page of Android devices


def build_libraries(abis: Sequence[str] = runtime.ABIS) -> dict[str, list[Path]]:
    """The libraries an APK carries, by ABI: ours, the runtime, and the stand-in for fbjni.

    Compiled once per content of the sources and kept in the user's cache.

    Raises:
        MissingToolError: no zig or npm.
        PackageError: the sources do not compile, or the result breaks a rule of Android's loader.
    """
    key = content_key([*_sources(), *_headers(), *_BIONIC.iterdir()], *_COMMON, *_CXX, *_LINK, runtime.VERSION)
    built = {}
    for abi in abis:
        folder = cached_folder(f"android-{abi}-{key}", lambda path, abi=abi: _build(abi, path))
        built[abi] = [folder / LIBRARY, folder / "libexecutorch_jni.so", folder / "libfbjni.so"]
    return built


def _sources() -> list[Path]:
    kernels = resource_dir("kernels")
    core = [path for part in _PARTS for path in sorted((kernels / part).glob("*.c"))]
    return [*core, kernels / "adapters/executorch.cpp", *sorted(_app_folder().glob("*.cpp"))]


def _headers() -> list[Path]:
    kernels = resource_dir("kernels")
    files = [*_app_folder().glob("*.h"), _app_folder() / "exports.map"]
    return files + [path for part in _PARTS for kind in ("*.h", "*.inc") for path in (kernels / part).glob(kind)]


def _app_folder() -> Path:
    return resource_dir("android_demo") / "app/src/main/cpp"


class _Zig:
    """clang and lld of the pip-installable zig."""

    def __init__(self, abi: str):
        spec = importlib.util.find_spec("ziglang")
        if spec is None or spec.origin is None:
            raise MissingToolError(
                "zig is missing; it compiles the app's library", do="pip install 'pocketvlad[android]'"
            )
        self.folder = Path(spec.origin).parent
        self.target = f"{_MACHINE[abi]}-linux-android26"

    def compile(self, arguments: Sequence[str]) -> None:
        self._run(["clang", f"--target={self.target}", *arguments])

    def link(self, arguments: Sequence[str]) -> None:
        self._run(["ld.lld", *arguments])

    def _run(self, arguments: Sequence[str]) -> None:
        result = subprocess.run([str(self.folder / "zig"), *arguments], capture_output=True, text=True)
        if result.returncode:
            errors = [line for line in result.stderr.splitlines() if "error" in line] or [result.stderr]
            raise PackageError("the app's library does not build", found=errors[0].strip()[:300])

    def headers(self, machine: str) -> list[str]:
        """C++ library, compiler and C library headers, in this order."""
        lib = self.folder / "lib"
        names = ("libcxx/include", "include", f"libc/include/{machine}-linux-musl", "libc/include/generic-musl")
        return [option for name in names for option in ("-isystem", str(lib / name))]


def _build(abi: str, out: Path) -> None:
    zig, work = _Zig(abi), out / "work"
    work.mkdir()
    original = runtime.library(abi)
    imported = read_library(original)
    make_system_stubs(imported, work, zig.compile, zig.link)
    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(lambda source: _compile(zig, abi, source, work), [*_sources(), _BIONIC / "crt.c"]))
    script = f"--version-script={_app_folder() / 'exports.map'}"
    libraries = [str(original), f"-L{work}", "-lc", "-lm", "-llog", "-ldl"]
    zig.link([*_LINK, script, "-o", str(out / LIBRARY), *map(str, objects), *libraries])
    make_fbjni_stub(imported, work / "libfbjni.so", zig.compile, zig.link)
    shutil.copy(work / "libfbjni.so", out / "libfbjni.so")
    shutil.copy(original, out / "libexecutorch_jni.so")
    check_libraries([out / LIBRARY, out / "libexecutorch_jni.so", out / "libfbjni.so"], stub_symbols(work))
    shutil.rmtree(work)


def _compile(zig: _Zig, abi: str, source: Path, work: Path) -> Path:
    out = work / f"{source.parent.name}-{source.stem}.o"
    kernels, headers = resource_dir("kernels"), runtime.runtime_folder() / "include"
    options = [*_MARCH[abi], *_COMMON]
    if source.suffix == ".cpp":
        third_party = [headers, headers / "pthreadpool", headers / "cpuinfo"]
        options += [*_CXX, *zig.headers(_MACHINE[abi])]
        options += [option for folder in third_party for option in ("-isystem", str(folder))]
    else:
        options += ["-std=gnu11", *zig.headers(_MACHINE[abi])[2:]]
    options += ["-include", str(_BIONIC / "declarations.h"), f"-I{kernels}", "-c", str(source), "-o", str(out)]
    zig.compile(options)
    return out


def check_libraries(paths: Sequence[Path], system_symbols: frozenset[str]) -> None:
    """Refuse what Android's loader would: a static check of one ABI's folder.

    Raises:
        PackageError: naming the library and the broken rule.
    """
    libraries = {path.name: read_library(path) for path in paths}
    for name, library in libraries.items():
        for problem in _problems(name, library, libraries, system_symbols):
            raise PackageError(f"{name} would not load on Android", found=problem)


def _problems(
    name: str, library: SharedLibrary, others: dict[str, SharedLibrary], system_symbols: frozenset[str]
) -> list[str]:
    problems = []
    if library.soname != name:
        problems.append(f"the SONAME {library.soname}")
    problems += [f"the missing {needed}" for needed in library.needed if needed not in others and needed not in _SYSTEM]
    if any(load.align < PAGE for load in library.loads):
        problems.append("segments aligned to less than 16 KB")
    if library.has_tls:
        problems.append("ELF thread-local storage, which API 26 to 28 lack")
    if library.has_text_relocations:
        problems.append("text relocations")
    exported = frozenset[str]().union(*(other.defined for other in others.values()))
    missing = sorted(name for name in library.undefined if name not in exported and name not in system_symbols)
    if missing:
        problems.append(f"undefined symbols {', '.join(missing[:5])}")
    return problems

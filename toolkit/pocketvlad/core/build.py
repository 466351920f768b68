"""Compiles the kernels on demand: the C core and its ExecuTorch adapter.

A library is compiled once per content: its name holds the hash of its sources, of the command and of the
compiler's version, so a change of any of them compiles anew and two processes never disturb each other.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import metadata, util
from pathlib import Path

from pocketvlad.core.cache import cache_root, cached_file
from pocketvlad.errors import KernelError, MissingToolError
from pocketvlad.resources import resource_dir
from pocketvlad.unfinished import scratch_folder

_PARTS = ("lut", "preprocess", "program", "search")
_ADAPTERS = ("executorch.cpp", "program.cpp")
# Of the ExecuTorch wheel; its kernels and XNNPACK register themselves when they are loaded.
_RUNTIME = (
    "executorch",
    "executorch_threadpool",
    "executorch_kernels_optimized",
    "executorch_backend_xnnpack",
)
# Contraction of a * b + c is off: kernels say where they fuse, everything else has the same bits everywhere.
C_FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fPIC", "-Wall", "-Wextra")
CXX_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-Wall", "-Wno-unused-parameter")


def core_sources() -> list[Path]:
    """Every C file of the core, in a fixed order."""
    folder = resource_dir("kernels")
    return [path for part in _PARTS for path in sorted((folder / part).glob("*.c"))]


def core_library() -> Path:
    """The C core as a shared library, free of torch and ExecuTorch.

    Raises:
        MissingToolError: no C compiler.
        KernelError: the compiler refuses the sources, or the cache folder cannot be written.
    """
    archive = _core_archive()
    flags = ["-shared", *_whole_archive(archive), "-lm"]
    return _built("libpvcore", _suffix(), [archive], [_compiler("CC"), *flags])


def executorch_library() -> Path:
    """The installed ExecuTorch's runtime with the lookup ops, behind a C interface and free of torch.

    Raises:
        MissingToolError: no C++ compiler, or no executorch.
        KernelError: as :func:`core_library`.
    """
    package = _package("executorch")
    include = package / "include"
    flags = [
        *CXX_FLAGS,
        "-DC10_USING_CUSTOM_GENERATED_MACROS",
        "-DET_USE_THREADPOOL",
        "-DET_EVENT_TRACER_ENABLED",  # as the wheel: an ETDump names the ops
        "-shared",
        *_system_includes(include, include / "executorch/runtime/core/portable_type/c10"),
        f"-I{resource_dir('kernels')}",
    ]
    archive, adapters = _core_archive(), resource_dir("kernels") / "adapters"
    sources, headers = [adapters / name for name in _ADAPTERS], sorted(adapters.glob("*.h"))
    runtime = [*_linked(package / "lib"), *(f"-l{name}" for name in _RUNTIME)]
    command = [_compiler("CXX"), *flags, *map(str, sources), str(archive), *runtime]
    read = [*sources, *headers, archive]
    return _built("libpvexecutorch", _suffix(), read, command, metadata.version("executorch"))


def _system_includes(*folders: Path) -> list[str]:
    """Warnings inside other projects' headers are not ours to fix."""
    return [part for folder in folders for part in ("-isystem", str(folder))]


def _linked(folder: Path) -> list[str]:
    unused_too = [] if sys.platform == "darwin" else ["-Wl,--no-as-needed"]
    return [*unused_too, f"-L{folder}", f"-Wl,-rpath,{folder}"]


def _whole_archive(archive: Path) -> list[str]:
    if sys.platform == "darwin":
        return [f"-Wl,-force_load,{archive}"]
    return ["-Wl,--whole-archive", str(archive), "-Wl,--no-whole-archive"]


def _suffix() -> str:
    return ".dylib" if sys.platform == "darwin" else ".so"


def _package(name: str) -> Path:
    found = util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise MissingToolError(f"{name} is not installed", do="pip install 'pocketvlad[runtime]'")
    return Path(next(iter(found.submodule_search_locations)))


@cache
def _compiler(variable: str) -> str:
    """The C (``CC``) or C++ (``CXX``) compiler: the environment's, else the system's."""
    names = {"CC": ("cc", "gcc", "clang"), "CXX": ("c++", "g++", "clang++")}[variable]
    wanted = os.environ.get(variable)
    for name in (wanted,) if wanted else names:
        path = shutil.which(name)
        if path:
            return path
    language = "C" if variable == "CC" else "C++"
    raise MissingToolError(
        f"a {language} compiler is missing",
        found=wanted,
        do="apt-get install g++ (macOS: xcode-select --install)",
    )


@cache
def _version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout


def _key(sources: Sequence[Path], command: Sequence[str], extra: str) -> str:
    anywhere = [part.replace(str(cache_root()), "") for part in command]  # a cache may be copied
    digest = hashlib.sha256("\0".join([*anywhere, extra, platform.machine(), _version(command[0])]).encode())
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def core_key() -> str:
    """16 hex digits over the core's sources, its flags and the compiler.

    Raises:
        MissingToolError: no C compiler.
    """
    folder = resource_dir("kernels")
    included = sorted(path for part in _PARTS for path in (folder / part).glob("*") if path.suffix != ".c")
    return _key([*core_sources(), *included], [_compiler("CC"), *C_FLAGS, "-c"], "")


def _core_archive() -> Path:
    """Every object of the core; the adapter takes it in whole, so each library stands alone."""
    sources, command = core_sources(), [_compiler("CC"), *C_FLAGS, "-c"]

    def make(archive: Path) -> None:
        with scratch_folder() as folder:
            objects = [folder / f"{path.parent.name}_{path.stem}.o" for path in sources]
            jobs = [[*command, str(path), "-o", str(out)] for path, out in zip(sources, objects, strict=True)]
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                list(pool.map(_run, jobs))
            archive.unlink()
            _run([_archiver(), "rcs", str(archive), *map(str, objects)])

    return cached_file(cache_root() / "kernels" / f"libpvcore-{core_key()}.a", make)


def _archiver() -> str:
    path = shutil.which(os.environ.get("AR", "ar"))
    if path is None:
        raise MissingToolError("the archiver `ar` is missing", do="apt-get install binutils")
    return path


def _built(name: str, suffix: str, sources: Sequence[Path], command: list[str], extra: str = "") -> Path:
    """Run ``command`` with ``-o`` unless the cache has its result."""
    target = cache_root() / "kernels" / f"{name}-{_key(sources, command, extra)}{suffix}"
    return cached_file(target, lambda out: _run([*command, "-o", str(out)]))


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise KernelError(
            "the kernels do not compile", found=" ".join(lines[:1]) or f"exit {done.returncode}"
        )

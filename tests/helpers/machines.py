"""The machines that kernels are tested on: this one's instruction sets, arm64 under qemu, sanitizers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from pocketvlad.core import native

SANITIZERS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

#: (qemu's ``-cpu``, instruction set that it must choose or be told)
ARM64 = [
    ("cortex-a53", "neon"),
    ("cortex-a53", "scalar"),
    ("cortex-a76", "neon_dotprod"),
    ("max", "neon_i8mm"),
]


def tool(name: str, package: str) -> str:
    """The path of a program, or a skip that says what to install."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is missing: apt-get install {package}")
    return path


def arm64_compiler() -> str:
    return tool("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")


def arm64(cpu: str) -> list[str]:
    """The command before an arm64 program."""
    return [tool("qemu-aarch64-static", "qemu-user-static"), "-cpu", cpu]


def forced(isa: str) -> Iterator[str]:
    """The instruction set while a fixture lasts, or a skip where the machine lacks it."""
    if not native.force_isa(isa):
        pytest.skip(f"this machine lacks {isa}")
    yield isa
    native.force_isa(None)

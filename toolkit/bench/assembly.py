"""Loops of compiled arm64 code, and what llvm-mca's tables of a processor make of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from pocketvlad.errors import PocketvladError

_TARGET = re.compile(r"(?:0x)?([0-9a-f]+) <[^>]*>$")
_LEAVES = {"b", "br", "bl", "blr", "ret", "cbz", "cbnz", "tbz", "tbnz"}
_LONGEST = 600  # instructions of a loop worth looking at
_ITERATIONS = 200
_VERSIONS = ("", *(f"-{version}" for version in range(30, 13, -1)))


@dataclass(frozen=True)
class Loop:
    """A block of instructions that ends with a conditional branch to its first one."""

    address: int
    lines: tuple[str, ...]

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each instruction occurs."""
        return Counter(line.split("\t")[0] for line in self.lines)

    def has(self, **counts: int) -> bool:
        return all(self.counts[name] == count for name, count in counts.items())


@dataclass(frozen=True)
class Tools:
    """An LLVM that is installed: its ``llvm-mca`` and ``llvm-objdump``, and their version."""

    mca: str
    objdump: str
    version: int

    def tables(self, core: str) -> str:
        """The processor whose tables stand for a core in this LLVM.

        Up to 16 all cores with out-of-order execution have those of the Cortex-A57, whose table lookups are three
        times as long as the A76's. From 17 on the servers of the A76's, A710's, X1's and X3's microarchitectures
        (Neoverse N1, N2, V1 and V2) have their own.
        """
        big = ("neoverse-n1", "neoverse-v1") if self.version >= 17 else ("cortex-a57", "cortex-a57")
        stand_ins = {"cortex-a76": big[0], "cortex-x1": big[1], "cortex-a72": "cortex-a57"}
        if self.version >= 17:
            stand_ins |= {"cortex-a710": "neoverse-n2", "cortex-x3": "neoverse-v2"}
        return stand_ins.get(core, core)

    @cache  # noqa: B019  the few tools live as long as the process
    def cycles(self, loop: Loop, core: str) -> float:
        """Cycles of one iteration in the steady state, every load a hit of the first cache."""
        text = "\n".join((".Lloop:", *loop.lines)) + "\n"
        command = [self.mca, "-mtriple=aarch64", f"-mcpu={self.tables(core)}", "-mattr=+dotprod,+i8mm"]
        command += [f"-iterations={_ITERATIONS}", "-instruction-info=0", "-resource-pressure=0"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
        cycles = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
        if cycles is None:
            raise PocketvladError(f"{self.mca} says no cycles", found=done.stdout.split("\n", 1)[0])
        return int(cycles[1]) / _ITERATIONS

    def loops(self, file: Path, symbol: str = "") -> Iterator[Loop]:
        """The innermost loops of ``symbol``, or of the whole file."""
        command = [self.objdump, "-d", "--no-show-raw-insn", "--mattr=+dotprod,+fullfp16,+i8mm"]
        command += [f"--disassemble-symbols={symbol}"] if symbol else []
        with subprocess.Popen([*command, str(file)], stdout=subprocess.PIPE, text=True) as process:
            yield from find_loops(process.stdout or ())


def find_tools() -> list[Tools]:
    """Every LLVM on the path that has both programs, newest first."""
    found: dict[int, Tools] = {}
    for suffix in _VERSIONS:
        mca, objdump = shutil.which(f"llvm-mca{suffix}"), shutil.which(f"llvm-objdump{suffix}")
        if mca and objdump:
            said = subprocess.run([mca, "--version"], capture_output=True, text=True).stdout
            if version := re.search(r"LLVM version (\d+)", said):
                found.setdefault(int(version.group(1)), Tools(mca, objdump, int(version.group(1))))
    return [found[version] for version in sorted(found, reverse=True)]


def find_loops(disassembly: Iterable[str]) -> Iterator[Loop]:
    """The loops without a branch inside in the words of ``llvm-objdump -d --no-show-raw-insn``."""
    recent: list[tuple[int, str, str]] = []
    for line in disassembly:
        place, _, words = line.partition(":")
        name, _, arguments = words.strip().partition("\t")
        if not name or not place.startswith(" "):
            recent.clear()  # a headline: another function
            continue
        address = int(place, 16)
        recent.append((address, name, arguments))
        if name.startswith("b."):
            target = _TARGET.search(arguments)
            start = int(target.group(1), 16) if target else address + 4
            if start <= address and start >= recent[0][0]:
                body = recent[-((address - start) // 4 + 1) :]
                lines = [f"{name}\t{arguments}" for _, name, arguments in body[:-1]]
                yield Loop(start, (*lines, f"{name}\t.Lloop"))
        if name.startswith("b.") or name in _LEAVES:
            recent.clear()  # what follows is another block
        elif len(recent) > _LONGEST:
            del recent[0]

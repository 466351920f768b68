"""``make fuzz``: every reader, in Python by changed files, in C by libFuzzer and the app's library in a JVM, both under
ASan and UBSan.

    PYTHONPATH=toolkit:tests python -m fuzz [--count 10000] [--seconds 60] [--only "mat v5"] [--seed 1]

Exit status 1 when anything but an error of ours or an answer comes out; what did it is kept in ``out/fuzz``.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzz import native
from fuzz.readers import formats, write_program
from pocketvlad.resources import resource_dir

ROOT = Path(__file__).parents[2]
OUT = ROOT / "out/fuzz"
_SANITIZE = ["-O1", "-g", "-std=c11", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
_MEMORY = (
    "-rss_limit_mb=0",
    "-malloc_limit_mb=256",
)  # of one piece: what a process's peak says starts at its parent's


@dataclass(frozen=True)
class Target:
    """A libFuzzer target.

    Attributes:
        sources: below ``tests``.
        kernels: the folder of C that it tries.
        flags: of the compiler.
        longest: bytes of an input.
    """

    sources: tuple[str, ...]
    kernels: str
    flags: tuple[str, ...] = ()
    longest: int = 20_000


_C = {
    "program": Target(("corrupt/program_fuzz.c",), "program"),
    "index": Target(("index/index_fuzz.c", "index/isa_choice.c"), "search"),
    **{
        f"lut {function}": Target(("kernels/lut_fuzz.c",), "lut", (f"-DPV_FUZZ={function}",), 700)
        for function in ("linear", "conv2d", "vlad_pool", "int8_conv2d")
    },
}


def fuzz_readers(names: Sequence[str], seed: int, count: int) -> dict[str, Counter[str]]:
    """What became of ``count`` changed files of each format; after a signal a new process goes on behind its input."""
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    left, at = list(names), 0
    while left:
        command = [sys.executable, "-m", "fuzz.child", *map(str, (seed, at, count)), *left]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 2]
        for name, number, outcome in lines:
            shown = outcome or f"BAD signal {-done.returncode}"
            found[name][shown] += 1
            if shown.startswith("BAD"):
                print(f"{name}: input {number} of seed {seed}: {shown}", flush=True)
        if not done.returncode:
            return found
        if not lines or lines[-1][2]:
            raise SystemExit(f"fuzz.child ends outside of its readers:\n{done.stderr[-2000:]}")
        at = int(lines[-1][1]) + 1
        left = left[left.index(lines[-1][0]) :]
    return found


def compiled(name: str) -> Path:
    """A target under sanitizers."""
    target, kernels = _C[name], resource_dir("kernels")
    sources = [str(path) for path in sorted((kernels / target.kernels).glob("*.c"))]
    sources += [str(ROOT / "tests" / source) for source in target.sources]
    binary = OUT / name.replace(" ", "-")
    command = ["clang", *_SANITIZE, *target.flags, f"-I{kernels}", *sources, "-lm", "-o", str(binary)]
    subprocess.run(command, check=True)
    return binary


def fuzz_c(name: str, seconds: int, corpus: Path) -> bool:
    """libFuzzer for a while; whether it found nothing. Says the processor's minutes: others may use it too."""
    limits = [
        f"-max_total_time={seconds}",
        f"-max_len={_C[name].longest}",
        *_MEMORY,
        "-print_final_stats=1",
        f"-artifact_prefix={OUT}/",
    ]
    command, before = [str(compiled(name)), *limits, str(corpus)], children_seconds()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    runs = [line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line]
    minutes, what = (children_seconds() - before) / 60, "FOUND" if done.returncode else "nothing found"
    print(f"{name:<24} {''.join(runs) or '?':>9} inputs  {minutes:.1f} processor minutes, {what}", flush=True)
    if done.returncode:
        print(done.stderr[-3000:])
    return done.returncode == 0


def write_seeds(name: str, corpus: Path) -> None:
    """Sound files that a target starts from; the kernels' are made of nothing."""
    if name == "program":
        write_program(corpus / "sound.pte")
    elif name == "index":
        (corpus / "tiny.pvix").write_bytes((ROOT / "tests/golden/tiny.pvix").read_bytes())


def children_seconds() -> float:
    """Of the processor, of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fuzz_native(count: int, seed: int) -> bool:
    """The app's library: changed files and photos, a hundred times as many call sequences, then long use."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = native.write_recogniser(folder)
        native.compile_java(folder)
        library, sound = [native.sanitized_library()], True
        for mode, times in {"files": count, "calls": 100 * count, "memory": max(10, count // 5)}.items():
            try:
                found = native.run(
                    folder, library, mode, files, times, seed=seed, environment=native.sanitizer_environment()
                )
            except RuntimeError as error:
                found, sound = [(f"FOUND {error}", 1)], False
            shown = ", ".join(f"{what} {number}" for what, number in found)
            print(f"{'native ' + mode:<24} {times:>9} of each  {shown}", flush=True)
    return sound


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="changed files of each format")
    parser.add_argument("--seconds", type=int, default=60, help="of each C fuzzer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one format or C fuzzer, `c` or `native`")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    sound = True
    for name in formats() if options.only not in ("c", "native", *_C) else ():
        if options.only in (None, name):
            found = fuzz_readers([name], options.seed, options.count)[name]
            sound &= not any(each.startswith("BAD") for each in found)
            shown = ", ".join(f"{each[:60]} {count}" for each, count in found.most_common())
            print(f"{name:<24} {sum(found.values()):>9} inputs  {shown}", flush=True)
    for name in _C:
        if options.only in (None, "c", name):
            with tempfile.TemporaryDirectory() as corpus:
                write_seeds(name, Path(corpus))
                sound &= fuzz_c(name, options.seconds, Path(corpus))
    if options.only in (None, "native"):
        sound &= fuzz_native(options.count, options.seed)
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())

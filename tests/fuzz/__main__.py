"""``make fuzz``: every reader, in Python by changed files, in C by libFuzzer and the app's library in a JVM, both under
ASan and UBSan.

    PYTHONPATH=toolkit:tests python -m fuzz [--count 10000] [--seconds 60] [--only "mat v5"] [--seed 1]

Exit status 1 when anything but an error of ours or an answer comes out; what did it is kept in ``out/fuzz``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fuzz import native
from fuzz.readers import formats, write_program
from pocketvlad.resources import resource_dir

ROOT = Path(__file__).parents[2]
OUT = ROOT / "out/fuzz"
_SANITIZE = ["-O1", "-g", "-std=c11", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
_C = {  # target -> folders of kernels it needs, sources beside it
    "corrupt/program_fuzz.c": (("program",), ()),
    "index/index_fuzz.c": (("search",), ("index/isa_choice.c",)),
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


def fuzz_c(target: str, seconds: int, corpus: Path) -> bool:
    """libFuzzer for a while; whether it found nothing."""
    folders, beside = _C[target]
    kernels = resource_dir("kernels")
    sources = [str(path) for folder in folders for path in sorted((kernels / folder).glob("*.c"))]
    sources += [str(ROOT / "tests" / name) for name in (target, *beside)]
    binary = OUT / Path(target).stem
    subprocess.run(["clang", *_SANITIZE, f"-I{kernels}", *sources, "-lm", "-o", str(binary)], check=True)
    limits = [
        f"-max_total_time={seconds}",
        "-max_len=20000",
        "-print_final_stats=1",
        f"-artifact_prefix={OUT}/",
    ]
    done = subprocess.run([str(binary), *limits, str(corpus)], capture_output=True, text=True, check=False)
    runs = [line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line]
    print(
        f"{target:<24} {''.join(runs) or '?':>9} inputs  {'nothing found' if done.returncode == 0 else 'FOUND'}"
    )
    if done.returncode:
        print(done.stderr[-3000:])
    return done.returncode == 0


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
    parser.add_argument("--only", help="one format, `c` or `native`")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    sound = True
    for name in formats() if options.only not in ("c", "native") else ():
        if options.only in (None, name):
            found = fuzz_readers([name], options.seed, options.count)[name]
            sound &= not any(each.startswith("BAD") for each in found)
            shown = ", ".join(f"{each[:60]} {count}" for each, count in found.most_common())
            print(f"{name:<24} {sum(found.values()):>9} inputs  {shown}", flush=True)
    if options.only in (None, "c"):
        with tempfile.TemporaryDirectory() as folder:
            write_program(Path(folder) / "sound.pte")
            (Path(folder) / "tiny.pvix").write_bytes((ROOT / "tests/golden/tiny.pvix").read_bytes())
            for target in _C:
                sound &= fuzz_c(target, options.seconds, Path(folder))
    if options.only in (None, "native"):
        sound &= fuzz_native(options.count, options.seed)
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())

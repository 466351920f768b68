"""``make fuzz``: every reader, in Python by changed files, in C by libFuzzer under ASan and UBSan.

    PYTHONPATH=toolkit:tests python -m fuzz [--count 10000] [--seconds 60] [--only "mat v5"] [--seed 1]

Exit status 1 when anything but an error of ours or an answer comes out; what did it is kept in ``out/fuzz``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from fuzz.readers import formats, write_program
from pocketvlad.resources import resource_dir

ROOT = Path(__file__).parents[2]
OUT = ROOT / "out/fuzz"
_SANITIZE = ["-O1", "-g", "-std=c11", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
_C = {  # target -> folders of kernels it needs, sources beside it
    "corrupt/program_fuzz.c": (("program",), ()),
    "index/index_fuzz.c": (("search",), ("index/isa_choice.c",)),
}


def fuzz_reader(name: str, seed: int, count: int) -> Counter[str]:
    """What became of ``count`` changed files; a process that a signal ended is started again behind its input."""
    found, at = Counter[str](), 0
    while at < count:
        command = [sys.executable, "-m", "fuzz.child", name, str(seed), str(at), str(count - at)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            number, _, outcome = line.partition(" ")
            at = int(number) + 1
            found[outcome.strip() or f"BAD signal {-done.returncode}"] += 1
            if not outcome.startswith(("read", "refused")):
                print(
                    f"{name}: input {number} of seed {seed}: {outcome or f'signal {-done.returncode}'}",
                    flush=True,
                )
        if not done.stdout:
            raise SystemExit(f"{name} cannot start:\n{done.stderr[-2000:]}")
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="changed files of each format")
    parser.add_argument("--seconds", type=int, default=60, help="of each C fuzzer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one format, or `c`")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    sound = True
    for name in formats() if options.only != "c" else ():
        if options.only in (None, name):
            found = fuzz_reader(name, options.seed, options.count)
            sound &= not any(each.startswith("BAD") for each in found)
            shown = ", ".join(f"{each[:60]} {count}" for each, count in found.most_common())
            print(f"{name:<24} {sum(found.values()):>9} inputs  {shown}", flush=True)
    if options.only in (None, "c"):
        with tempfile.TemporaryDirectory() as folder:
            write_program(Path(folder) / "sound.pte")
            (Path(folder) / "tiny.pvix").write_bytes((ROOT / "tests/golden/tiny.pvix").read_bytes())
            for target in _C:
                sound &= fuzz_c(target, options.seconds, Path(folder))
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())

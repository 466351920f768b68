"""``make fuzz``: every reader, in Python by changed files, in C by libFuzzer and the app's library in a JVM, both under
ASan and UBSan.

    PYTHONPATH=toolkit:tests python -m fuzz [--count 10000] [--seconds 60] [--only "mat v5"] [--seed 1]
    PYTHONPATH=toolkit:tests python -m fuzz --soak 30 [--only index] [--record FILE]

Exit status 1 when anything but an error of ours or an answer comes out; what did it is kept in ``out/fuzz``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fuzz import soak
from fuzz.clang import TARGETS, compiled, fuzz_c
from fuzz.jvm import fuzz_jvm, modes
from fuzz.python import fuzz_readers
from fuzz.readers import formats


def once(options: argparse.Namespace) -> Iterator[bool]:
    """Whether each fuzzer found nothing, with a line about it."""
    for name in formats() if options.only not in ("c", "native", *TARGETS) else ():
        if options.only in (None, name):
            found = fuzz_readers([name], options.seed, options.count)[name]
            shown = ", ".join(f"{each[:60]} {count}" for each, count in found.most_common())
            print(f"{name:<24} {found.total():>9} inputs  {shown}", flush=True)
            yield not any(each.startswith("BAD") for each in found)
    for name in TARGETS:
        if options.only in (None, "c", name):
            with tempfile.TemporaryDirectory() as corpus:
                done = fuzz_c(name, compiled(name), options.seconds, Path(corpus), options.seed)
            minutes, what = done.seconds / 60, f"FOUND\n{done.words}" if done.found else "nothing found"
            print(f"{name:<24} {done.inputs:>9} inputs  {minutes:.1f} processor minutes, {what}", flush=True)
            yield not done.found
    if options.only in (None, "native"):
        times = modes(options.count)
        for mode, done in fuzz_jvm(times, options.seed).items():
            shown = f"{'FOUND ' if done.found else ''}{done.words}"
            print(f"{'native ' + mode:<24} {times[mode]:>9} of each  {shown}", flush=True)
            yield not done.found


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="changed files of each format")
    parser.add_argument("--seconds", type=int, default=60, help="of each C fuzzer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", help="one format or C fuzzer, `c` or `native`; of a soak a part of its name"
    )
    parser.add_argument(
        "--soak", type=float, metavar="MINUTES", help="of the processor, of each fuzzer in all"
    )
    parser.add_argument("--record", type=Path, default=soak.RECORD, help="of the soak; minutes add up there")
    options = parser.parse_args()
    if options.soak is None:
        return 0 if all([*once(options)]) else 1
    chosen = {name: each for name, each in soak.fuzzers().items() if (options.only or "") in name}
    return 0 if soak.soak(options.record, options.soak, chosen) else 1


if __name__ == "__main__":
    sys.exit(main())

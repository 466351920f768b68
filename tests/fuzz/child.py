"""Reads changed files, in a process that may end by a signal: ``python -m fuzz.child SEED FIRST COUNT FORMAT...``.

Prints each input's format and number before it is read, then what became of it. FIRST is of the first format.
"""

from __future__ import annotations

import random
import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from fuzz.readers import Format, formats
from pocketvlad.errors import PocketvladError

MEMORY = 8 << 30  # bytes of address space, torch's own 4 GB included
SECONDS = 10  # of the processor, for one file
ASLEEP = 600  # by the clock: others may use the processor too


def changed(data: bytes, number: int, seed: int) -> bytes:
    """The sound file with some bytes changed, a part cut out, repeated or grown."""
    draw = random.Random(seed * 1_000_003 + number)
    found = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(found)) if found else 0
        kind = draw.random()
        if kind < 0.75 and found:
            found[at] = draw.choice(
                (0, 1, 127, 128, 255, found[at] ^ (1 << draw.randrange(8)), draw.randrange(256))
            )
        elif kind < 0.85:
            del found[at : at + draw.randint(1, 64)]
        elif kind < 0.95:
            found[at:at] = found[at : at + draw.randint(1, 64)]
        else:
            del found[at:]
    return bytes(found)


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds, or {ASLEEP} asleep")


def _watch(seconds: int, asleep: int) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(asleep)


def read_changed(name: str, kind: Format, seed: int, numbers: range) -> None:
    """Read the changed files of one format with these numbers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("stages.json" if name == "stage log" else f"x.{kind.suffix}")
        kind.write(path)
        data = path.read_bytes()
        kind.read(path)  # what is sound is read
        rest = b"" if kind.changed is None else data[kind.changed :]
        for number in numbers:
            print(name, number, sep="\t", end="\t", flush=True)
            path.write_bytes(changed(data[: kind.changed], number, seed) + rest)
            _watch(SECONDS, ASLEEP)
            try:
                kind.read(path)
            except PocketvladError as error:
                print("refused" if "\n" not in str(error) else f"BAD two lines: {str(error)!r}")
            except BaseException as error:
                print(f"BAD {type(error).__name__} {traceback.extract_tb(error.__traceback__)[-1]}")
            else:
                print("read")
            finally:
                _watch(0, 0)


def main(seed: int, first: int, count: int, *names: str) -> None:
    """Read ``count`` changed files of each format, of the first one those from number ``first`` on."""
    kinds = formats()
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, _too_long)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for name in names:
        read_changed(name, kinds[name], seed, range(first if name == names[0] else 0, count))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), *sys.argv[4:])

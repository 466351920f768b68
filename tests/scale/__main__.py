"""``make scale``: many photos and a large index, in the memory they may take; what the tests do with few.

    PYTHONPATH=toolkit:tests python -m scale photos 100000 FOLDER ["index build"]
    PYTHONPATH=toolkit:tests python -m scale index 1000000 FOLDER
    PYTHONPATH=toolkit:tests python -m scale grown 10000000 FOLDER
    PYTHONPATH=toolkit:tests python -m scale kills 10 FOLDER
    PYTHONPATH=toolkit:tests python -m scale installed 0 FOLDER python3.11 python3.12 python3.13

FOLDER keeps photos, parts and runs: what is there is not made again. Prints a line of JSON for each figure; exit status
1 where bytes differ or memory grows.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone")
WORKER = Path(__file__).parents[1] / "helpers/many_photos.py"
PART, DIM = 250_000, 512  # of the large index
MOST = 1_000_000  # kilobytes resident


def say(**figures: object) -> None:
    print(json.dumps(figures), flush=True)


def resident(pid: int) -> int:
    """Kilobytes of a running process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def run(name: str, *command: str, stop: bool = False) -> list[int]:
    """Run to the end; kilobytes resident, a hundred times a second at most. Says what it took."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    seen = []
    while process.poll() is None:
        seen.append(resident(process.pid))
        time.sleep(0.2)
    if process.returncode != (-9 if stop else 0):
        raise SystemExit(f"{name}: exit status {process.returncode}")
    seen = [kilobytes for kilobytes in seen if kilobytes]
    seconds = round(time.monotonic() - start, 1)
    say(run=name, seconds=seconds, most_kb=max(seen, default=0), growth=round(growth(seen), 4))
    return seen


def growth(seen: list[int]) -> float:
    """Of memory, at its most behind the middle of a run, as a share of what it was there."""
    later = seen[len(seen) // 2 :]
    return max(later) / later[0] - 1 if later else 0.0


COMMANDS = {"describe": "h5", "index build": "pvix"}  # of many photos, and what they write


def photos(count: int, folder: Path, names: list[str]) -> bool:
    """``describe`` and ``index build`` of generated photos, each whole, stopped twice and resumed, by two processes."""
    from fuzz.native import write_recogniser
    from helpers.many_photos import write_many

    if not (folder / "photos").exists():
        write_many(folder / "making", count, places=count // 5)
        (folder / "making").rename(folder / "photos")
    if not (folder / "m.pte").exists():
        write_recogniser(folder)[0].rename(folder / "m.pte")
    return all(many(command, count, folder) for command in names or COMMANDS)


def many(command: str, count: int, folder: Path) -> bool:
    """One command: whether its bytes are the same each time and its memory does not grow."""
    words = (*command.split(), str(folder / "m.pte"), "--photos", f"folder:{folder / 'photos'}", "--force")

    def out(name: str) -> Path:
        return folder / f"{name}.{COMMANDS[command]}"

    def done(name: str, *launcher: str, stop: int = 0) -> list[int]:
        arguments = (*launcher, str(WORKER), str(stop), *words, "--out", str(out(name)))
        return run(f"{command} {count} {name}", *arguments, stop=stop > 0)

    seen = done("whole")
    for stop in (count // 3, count // 2, 0):
        done("resumed", stop=stop)
    done("shared", *TORCHRUN)
    contents = [out(name).read_bytes() for name in ("whole", "resumed", "shared")]
    equal = contents[0] == contents[1] == contents[2]
    say(command=command, photos=count, bytes=len(contents[0]), equal=equal)
    return equal and growth(seen) < 0.1


def part(folder: Path, number: int) -> None:
    """One part of the large index, of descriptors that its numbers say."""
    import numpy as np

    from pocketvlad.dataset.types import Photo
    from pocketvlad.evaluate.describe import Reading
    from pocketvlad.index import indexed, write_index

    def describe(path: Path) -> np.ndarray:
        vector = np.random.default_rng(int(path.name)).standard_normal(DIM, np.float32)
        return vector / np.linalg.norm(vector)

    first = number * PART
    listed = [Photo(Path(str(n)), f"{n}.jpg", f"place {n // 5}") for n in range(first, first + PART)]
    reading = Reading(beside=nothing_beside)
    with indexed(describe, listed, bytes(32), dtype="int8", reading=reading) as (index, _):
        write_index(folder / f"part-{number}.pvix", index, force=True)


def nothing_beside(_: object) -> bytes:
    """Neither position nor thumbnail."""
    import struct

    return struct.pack("<dd", float("nan"), float("nan"))


def large_index(count: int, folder: Path) -> bool:
    """An index in parts, joined, added to and searched; each in a process of its own."""
    me, most = ("-m", "scale"), 0
    parts = [folder / f"part-{number}.pvix" for number in range(count // PART)]
    for number, path in enumerate(parts):
        if not path.exists():
            most = max(most, *run(path.name, *me, "part", str(number), str(folder)))
    whole = folder / "whole.pvix"
    names = [str(path) for path in parts]
    most = max(
        most, *run("merge", "-m", "pocketvlad", "index", "merge", *names, "--out", str(whole), "--force")
    )
    start = time.monotonic()
    most = max(most, *run("search", *me, "search", "0", str(whole)))
    say(
        index=count,
        dim=DIM,
        bytes=whole.stat().st_size,
        most_kb=most,
        seconds=round(time.monotonic() - start, 1),
    )
    return most < MOST


def installed(folder: Path, pythons: list[str]) -> bool:
    """The source distribution and its wheel in environments of each Python: describe, index, search, evaluate."""
    from fuzz.native import write_recogniser
    from helpers.installed import distributions, install_runtime, smoke
    from helpers.many_photos import write_many
    from pocketvlad.runtime.sealed import seal_program

    write_many(folder / "photos", 12, places=4)
    program = write_recogniser(folder)[0].rename(folder / "model.pte")
    seal_program(program)
    for kind, path in zip(("sdist", "wheel"), distributions(folder), strict=True):
        for python in pythons:
            start = time.monotonic()
            smoke(install_runtime(path, folder / f"{kind}-{Path(python).name}", python), folder)
            say(installed=path.name, python=python, seconds=round(time.monotonic() - start, 1))
    return True


def grown(count: int, folder: Path) -> bool:
    """An index that grows by parts, and is searched; each time in a process of its own. What is there stays."""
    from scale.grown import PART, add, search

    path = folder / "grown.pvix"
    processes = multiprocessing.get_context("spawn")
    for work in [*(partial(add, path, count) for _ in range(count // PART)), partial(search, path)]:
        process = processes.Process(target=work)
        process.start()
        process.join()
        if process.exitcode:
            return False
    return True


def kills(count: int, folder: Path, names: list[str]) -> bool:
    """Every step killed at ``count`` random moments of its length."""
    from scale.kills import STEPS, kill, write_inputs

    if not (folder / "photos").exists():
        write_inputs(folder)
    for name in names or STEPS:
        start, seed = time.monotonic(), random.randrange(2**32)
        say(killed=name, seed=seed)
        moments = kill(name, folder, count, seed)
        say(killed=name, at_work=len(moments), seconds=round(time.monotonic() - start, 1), moments=moments)
    return True


def main() -> int:
    job, number, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    if job == "part":
        part(folder, number)
        return 0
    if job == "search":
        from scale.grown import search

        search(folder)
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    jobs: dict[str, Callable[[], bool]] = {
        "photos": lambda: photos(number, folder, sys.argv[4:]),
        "index": lambda: large_index(number, folder),
        "grown": lambda: grown(number, folder),
        "kills": lambda: kills(number, folder, sys.argv[4:]),
        "installed": lambda: installed(folder, sys.argv[4:]),
    }
    return 0 if jobs[job]() else 1


if __name__ == "__main__":
    sys.exit(main())

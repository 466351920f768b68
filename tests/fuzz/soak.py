"""Every fuzzer for many minutes of the processor, in pieces, each written down: ``docs/data/fuzz.json``.

Minutes add up over runs while what is tried stays the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measured import where_and_when
from fuzz import clang, jvm, python
from fuzz.outcome import Outcome, sources_key
from pocketvlad import artifact

RECORD = clang.ROOT / "docs/data/fuzz.json"
COLUMNS = ("what is tried", "processor minutes", "inputs", "found", "SHA-256 of its sources begins")
COMMAND = 'make fuzz FUZZ="--soak 30"'
DATA = "sound files that the fuzzers make themselves, changed; C and the app's library under ASan and UBSan"
PYTHON, JVM = "Python: every reader", "JVM: the app's library"
_PIECE = 150  # seconds of libFuzzer by the clock
_CHANGED, _CALLED = 400, 20_000  # files of each Python format in a piece, of each kind in the JVM


@dataclass(frozen=True)
class Fuzzer:
    """One that goes on in pieces.

    Attributes:
        files: that it tries and is made of.
        piece: number from 1, which is its seed -> what it did.
    """

    files: Callable[[], Sequence[Path]]
    piece: Callable[[int], Outcome]


def fuzzers() -> dict[str, Fuzzer]:
    """Every one by name."""
    return {
        **{f"C: {name}": Fuzzer(target.files, _of_c(name)) for name, target in clang.TARGETS.items()},
        PYTHON: Fuzzer(python.files, lambda seed: python.fuzz_all(seed, _CHANGED)),
        JVM: Fuzzer(jvm.files, _of_jvm),
    }


def _of_c(name: str) -> Callable[[int], Outcome]:
    """Pieces of a C target; what libFuzzer has gathered is kept in between."""

    def piece(seed: int) -> Outcome:
        binary = clang.compiled(name)
        corpus = binary.with_name(f"corpus-{binary.name}")
        corpus.mkdir(exist_ok=True)
        return clang.fuzz_c(name, binary, _PIECE, corpus, seed)

    return piece


def _of_jvm(seed: int) -> Outcome:
    found = jvm.fuzz_jvm(jvm.modes(_CALLED), seed).values()
    words = "; ".join(each.words for each in found if each.found)
    return Outcome(
        sum(o.inputs for o in found), sum(o.seconds for o in found), sum(o.found for o in found), words
    )


def soak(record: Path, minutes: float, chosen: dict[str, Fuzzer]) -> bool:
    """Let each go on until ``record`` has its minutes of what is there today; whether nothing was ever found."""
    for name, fuzzer in chosen.items():
        for done in _pieces(record, name, fuzzer, minutes):
            print(f"{name:<32} {done['seconds'] / 60:5.1f} minutes {done['inputs']:>14,} inputs", flush=True)
            if done["found"]:
                print(f"FOUND {done['words']}", flush=True)
                break
    kept = read(record)
    return not any(kept[name]["found"] for name in chosen if name in kept)


def _pieces(record: Path, name: str, fuzzer: Fuzzer, minutes: float) -> Iterator[dict[str, Any]]:
    while True:
        key = sources_key(fuzzer.files())
        done = read(record).get(name, {})
        if done.get("sources") != key:
            done = {"fuzzer": name, "sources": key, "pieces": 0, "seconds": 0.0, "inputs": 0, "found": 0}
        if done["seconds"] >= 60 * minutes:
            return
        outcome = fuzzer.piece(done["pieces"] + 1)
        done = {
            **done,
            "pieces": done["pieces"] + 1,
            "seconds": round(done["seconds"] + outcome.seconds, 1),
            "inputs": done["inputs"] + outcome.inputs,
            "found": done["found"] + outcome.found,
        }
        write(record, {**read(record), name: done})
        yield {**done, "words": outcome.words}


def read(record: Path) -> dict[str, dict[str, Any]]:
    """What was written down of each fuzzer."""
    if not record.exists():
        return {}
    return {each["fuzzer"]: each for each in json.loads(record.read_text())["figures"]}


def write(record: Path, done: dict[str, dict[str, Any]]) -> None:
    """As a table of docs/measurements.md."""
    kept = [done[name] for name in fuzzers() if name in done]
    rows = [
        (
            each["fuzzer"],
            f"{each['seconds'] / 60:.0f}",
            f"{each['inputs']:,}",
            str(each["found"] or "nothing"),
            each["sources"][:12],
        )
        for each in kept
    ]
    said = {"columns": COLUMNS, "command": [COMMAND], "data": DATA, **where_and_when(), "rows": rows}
    artifact.write_json(record, {**said, "figures": kept}, force=True)

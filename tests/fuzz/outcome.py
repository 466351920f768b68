"""What a fuzzer did."""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What a fuzzer did.

    Attributes:
        inputs: that it tried.
        seconds: of the processor: others may use it too.
        found: inputs that did not end in an answer or an error of ours.
        words: about them.
    """

    inputs: int
    seconds: float
    found: int = 0
    words: str = ""


@contextmanager
def timed() -> Iterator[Callable[[], float]]:
    """Seconds of the processor that processes which began and ended in the block have used."""
    before = _children_seconds()
    yield lambda: _children_seconds() - before


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def sources_key(files: Sequence[Path]) -> str:
    """Hex SHA-256 over files' names and bytes."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()

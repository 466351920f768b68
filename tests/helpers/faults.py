"""What goes wrong and what then happens: docs/faults.md has a line for each, from the tests that prove it."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from helpers import forked

Test = TypeVar("Test", bound=Callable[..., object])


def fault(what: str, then: str) -> Callable[[Test], Test]:
    """The test proves that ``then`` happens when ``what`` does."""
    assert what and then
    return lambda test: test


def killed_and_finished(arguments: Sequence[str], out: Path, kills: int, seed: int) -> list[float]:
    """Run a command to its end, kill it at ``kills`` random moments of its length, and let it end again.

    Args:
        arguments: of ``pocketvlad``.
        out: what it writes; after a kill it is not there, or it is whole.
        kills: as many.
        seed: of the moments.

    Returns:
        The moments at which it was killed at work, seconds.
    """
    start, moments, draw = time.monotonic(), [], random.Random(seed)
    forked.finish(forked.command, list(arguments))
    length, whole = time.monotonic() - start, out.read_bytes()
    for _ in range(kills):
        out.unlink(missing_ok=True)
        process, moment = forked.start(forked.command, list(arguments)), draw.uniform(0, length)
        process.join(moment)
        if process.is_alive():
            process.kill()
            moments.append(round(moment, 2))
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
        assert not out.exists() or out.read_bytes() == whole
    out.unlink(missing_ok=True)
    forked.finish(forked.command, list(arguments))
    assert out.read_bytes() == whole
    return moments

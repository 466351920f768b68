"""What goes wrong and what then happens: docs/faults.md has a line for each, from the tests that prove it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., object])


def fault(what: str, then: str) -> Callable[[Test], Test]:
    """The test proves that ``then`` happens when ``what`` does."""
    assert what and then
    return lambda test: test

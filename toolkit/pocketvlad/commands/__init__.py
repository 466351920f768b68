"""What each command does, from files to files: returns figures as plain values, prints nothing."""

from __future__ import annotations

from typing import Any, Protocol

Values = dict[str, Any]


class Progress(Protocol):
    """Shows how much is done of how much, and a few words; fewer done than before starts a new phase."""

    def __call__(self, done: int, total: int, text: str = "") -> None: ...

"""What each command does, from files to files: returns figures as plain values, prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Values = dict[str, Any]
Progress = Callable[[int, int], None]

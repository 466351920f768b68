"""Fenced blocks of a Markdown page, and what a comment just above one says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)$")
_COMMENT = re.compile(r"^<!-- (?P<what>not run|file): (?P<value>.+) -->$")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        line: of its fence, from 1.
        language: after the fence.
        text: inside.
        not_run: why it is not run; None where it is.
        file: the name under which a reader saves it.
    """

    line: int
    language: str
    text: str
    not_run: str | None = None
    file: str | None = None


def blocks(page: Path) -> list[Block]:
    """Every fenced block, in order."""
    found, lines, at = [], page.read_text(encoding="utf-8").splitlines(), 0
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        if fence is None:
            at += 1
            continue
        end = lines.index("```", at + 1)
        comment = _COMMENT.match(lines[at - 1]) if at else None
        said = {comment["what"].replace(" ", "_"): comment["value"]} if comment else {}
        found.append(Block(at + 1, fence[1], "\n".join(lines[at + 1 : end]) + "\n", **said))
        at = end + 1
    return found


def commands(text: str) -> list[str]:
    """The commands of a shell block: comments and ends of line with a backslash are taken away."""
    joined = text.replace("\\\n", " ")
    return [line for line in (re.sub(r"(^|\s)#.*", "", each).strip() for each in joined.splitlines()) if line]

"""HTML the sections share. Everything that comes from a file or a user is escaped here."""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence


def escape(text: object) -> str:
    """Text safe inside an element or a quoted attribute."""
    return html.escape(str(text), quote=True)


def section(title: str, body: str, hint: str = "") -> str:
    """A titled card; ``body`` is HTML, the rest text."""
    note = f'<p class="hint">{escape(hint)}</p>' if hint else ""
    return f"<section><h2>{escape(title)}</h2>{note}{body}</section>"


def cell(text: str, kind: str = "") -> str:
    """A table cell of text; ``kind`` names its CSS classes."""
    return f'<td class="{kind}">{escape(text)}</td>' if kind else f"<td>{escape(text)}</td>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], chosen: Collection[int] = ()) -> str:
    """Rows of ready cells under text headings, scrolling sideways on a narrow screen."""
    top = (
        f"<thead><tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr></thead>" if any(head) else ""
    )
    body = "".join(
        f"<tr{' class=chosen' if index in chosen else ''}>{''.join(row)}</tr>"
        for index, row in enumerate(rows)
    )
    return f'<div class="scroll"><table>{top}<tbody>{body}</tbody></table></div>'


def code(text: str) -> str:
    """A command to copy."""
    return f"<pre>{escape(text)}</pre>"

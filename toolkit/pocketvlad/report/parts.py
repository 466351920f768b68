"""HTML the sections share. Everything that comes from a file or a user is escaped here."""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence

_BREAK = "<wbr>"  # where a long name may go on in the next line


def escape(text: object) -> str:
    """Text safe inside an element or a quoted attribute."""
    return html.escape(str(text), quote=True)


def section(title: str, body: str, hint: str = "") -> str:
    """A titled card; ``body`` is HTML, the rest text."""
    note = f'<p class="hint">{escape(hint)}</p>' if hint else ""
    return f"<section><h2>{escape(title)}</h2>{note}{body}</section>"


def cell(text: str, kind: str = "") -> str:
    """A table cell of text; ``kind`` names its CSS classes; a dotted ``name`` goes on in a new line after a dot."""
    shown = escape(text).replace(".", f".{_BREAK}") if kind == "name" else escape(text)
    return f'<td class="{kind}">{shown}</td>' if kind else f"<td>{shown}</td>"


def bar(share: float) -> str:
    """A table cell with a bar of this share of its width."""
    width = min(max(share, 0.0), 1.0)
    return (
        f'<td class="barcell"><div class="bar" style="width:{100 * width:.1f}%">'
        '<i class="after" style="width:100%"></i></div></td>'
    )


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], chosen: Collection[int] = (), kind: str = ""
) -> str:
    """Rows of ready cells under text headings; on a narrow screen a block per row, each cell with its heading."""
    first = rows[0] if rows else [""] * len(head)
    names = "".join(map(_heading, head, first))
    top = f"<thead><tr>{names}</tr></thead>" if any(head) else ""
    body = "".join(
        f"<tr{' class=chosen' if index in chosen else ''}>"
        + "".join(_headed(each, name) for each, name in zip(row, head, strict=True))
        + "</tr>"
        for index, row in enumerate(rows)
    )
    return (
        f'<table class="{kind}">{top}<tbody>{body}</tbody></table>'
        if kind
        else f"<table>{top}<tbody>{body}</tbody></table>"
    )


def _heading(name: str, below: str) -> str:
    """A column's heading, to the left over a column of text."""
    kind = " class=text" if below.startswith('<td class="text') else ""
    return f"<th{kind}>{escape(name)}</th>"


def _headed(ready: str, head: str) -> str:
    """A cell that carries its column's heading."""
    return ready.replace("<td", f'<td data-head="{escape(head)}"', 1) if head else ready


def code(text: str) -> str:
    """A command to copy."""
    return f"<pre>{escape(text)}</pre>"

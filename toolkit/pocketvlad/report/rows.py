"""Rows under headings for a terminal: no name and no number is cut, however narrow it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

_GAPS = (2, 1)  # between columns; the second where the terminal is narrow
_NARROWEST = 10  # a column of words


class Rows:
    """A table without lines. Numbers stay whole; words go on in a new line, as few of them as can be.

    Args:
        title: above; empty for none.
        head: headings.
        rows: of as many cells.
        numbers: positions of the columns of numbers, to the right.
        strong: positions of rows in bold.
    """

    def __init__(
        self,
        title: str,
        head: Sequence[str],
        rows: Sequence[Sequence[Text]],
        numbers: Collection[int],
        strong: Collection[int] = (),
    ):
        self._title, self._head, self._rows = title, head, rows
        self._numbers, self._strong = numbers, strong

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths, gap = self._widths(options.max_width)
        table = Table(
            box=None, padding=(0, gap, 0, 0), pad_edge=False, collapse_padding=True, header_style="bold"
        )
        for at, (name, width) in enumerate(zip(self._head, widths, strict=True)):
            justify = "right" if at in self._numbers else "left"
            table.add_column(name, justify=justify, width=width, overflow="fold")  # type: ignore[arg-type]
        for at, row in enumerate(self._rows):
            table.add_row(*row, style="bold" if at in self._strong else None)
        if self._title:
            yield Text(self._title, style="italic", overflow="fold")
        yield from console.render(table, options.update(width=_total(widths, gap)))

    def _widths(self, whole: int) -> tuple[list[int], int]:
        """Of the columns, and the gap between them: columns of words give way, first without breaking a word."""
        columns = [[row[at] for row in self._rows] for at in range(len(self._head))]
        widths, least = [], []
        for at, (name, cells) in enumerate(zip(self._head, columns, strict=True)):
            word = _longest_word([name])
            number = at in self._numbers
            widths.append(max([cell.cell_len for cell in cells] + [word if number else len(name)]))
            least.append(widths[-1] if number else max(word, _longest_word([cell.plain for cell in cells])))
        gap = next((gap for gap in _GAPS if _total(widths, gap) <= whole), _GAPS[-1])
        narrowest = [width if at in self._numbers else _NARROWEST for at, width in enumerate(widths)]
        for floor in (least, narrowest):
            while _total(widths, gap) > whole:
                free = [at for at, width in enumerate(widths) if width > floor[at]]
                if not free:
                    break
                widths[max(free, key=lambda at: widths[at])] -= 1
        return widths, gap


def _longest_word(texts: Sequence[str]) -> int:
    return max((cell_len(word) for text in texts for word in text.split()), default=0)


def _total(widths: Sequence[int], gap: int) -> int:
    """Of a whole line; no gap stands at its end."""
    return sum(widths) + gap * (len(widths) - 1)

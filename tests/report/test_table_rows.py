"""Tables in a terminal: nothing is cut, however narrow."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from pocketvlad.report.rows import Rows

HEAD = ("layer", "weights", "bits per weight", "found")
ROWS = [
    ("backbone.blocks.10.depthwise_conv", "4,587,520", "20.15", "/usr/bin/qemu-aarch64-static"),
    ("whitening", "864", "8.08", "sudo apt-get install default-jdk-headless"),
]


def shown(width, rows=ROWS):
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(Rows("a title", HEAD, [[Text(cell) for cell in row] for row in rows], (1, 2)), crop=False)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40])
def test_every_letter_is_there_and_numbers_are_whole(width):
    text = shown(width)
    assert "…" not in text
    for row in ROWS:
        assert row[1] in text and row[2] in text
        for cell in (row[0], row[3]):
            assert set(cell.replace(" ", "")) <= set(text)
    assert sum(map(text.count, "abcdefghijklmnopqrstuvwxyz")) == sum(
        map(
            " ".join((*HEAD, "a title", *(cell for row in ROWS for cell in row))).count,
            "abcdefghijklmnopqrstuvwxyz",
        )
    )


@pytest.mark.parametrize("width", [200, 80])
def test_lines_fit_where_that_is_possible(width):
    assert max(map(len, shown(width).splitlines())) <= width


def test_words_stay_whole_where_there_is_room():
    text = shown(88)
    assert all(word in text for row in ROWS for cell in row for word in cell.split())


def test_markup_in_a_cell_is_text():
    assert "[red]x[/red]" in shown(120, [("[red]x[/red]", "1", "2", "[/]")])

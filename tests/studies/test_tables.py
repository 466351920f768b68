"""The page of measurements: its tables are those of the data, no more and no fewer."""

from __future__ import annotations

import importlib.util
import json

import pytest

from pocketvlad.errors import ArtifactError
from studies.tables import DOCS, read_tables, with_tables

TABLE = {
    "columns": ["setting", "MB"],
    "rows": [["about 8x"], ["ours", "8.65"]],
    "command": ["make it \\", "  again"],
    "data": "3 photos",
    "machine": "A processor",
    "isa": "x86_64",
    "date": "2026-01-02",
}
PAGE = "before\n<!-- table: sizes -->\nold\n<!-- end -->\nafter\n"


def read(folder, **changes):
    (folder / "sizes.json").write_text(json.dumps({**TABLE, **changes}))
    return read_tables(folder)


def test_the_committed_page_is_current():
    page = (DOCS / "measurements.md").read_text()
    current = page == with_tables(page, read_tables(DOCS / "data"))
    assert current, "run PYTHONPATH=toolkit python -m studies.tables"


def test_every_command_names_a_module_or_a_target_that_is_there():
    makefile = (DOCS.parent / "Makefile").read_text()
    for table in read_tables(DOCS / "data").values():
        words = [word for line in table.command for word in line.split()]
        if "-m" in words:
            assert words[0] == "PYTHONPATH=toolkit"
            assert importlib.util.find_spec(words[words.index("-m") + 1]) is not None
        elif words[0] == "make":
            assert f"\n{words[1]}:" in makefile
        else:
            assert words[0] == ".venv/bin/pocketvlad"


def test_a_table_stands_between_its_markers_with_where_it_is_from(tmp_path):
    page = with_tables(PAGE, read(tmp_path))
    assert page == (
        "before\n<!-- table: sizes -->\n    make it \\\n      again\n\n| setting | MB |\n|---|---|\n"
        "| *about 8x* |  |\n| ours | 8.65 |\n\n<sub>3 photos. A processor, x86_64. 2026-01-02.</sub>\n"
        "<!-- end -->\nafter\n"
    )
    assert with_tables(page, read(tmp_path)) == page


def test_markers_and_tables_must_agree(tmp_path):
    tables = read(tmp_path)
    for page, found in ((PAGE, {}), ("no place", tables), (PAGE + PAGE, tables)):
        with pytest.raises(ArtifactError, match="markers are not the tables"):
            with_tables(page, found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": [["a", "b", "c"]]}, "row 1 does not fit"),
        ({"rows": [["a", 3]]}, r"rows\[0\]\[1\] has a wrong type"),
        ({"comand": []}, "did you mean 'command'"),
    ],
)
def test_bad_data_is_one_clear_line(tmp_path, changes, message):
    with pytest.raises(ArtifactError, match=message):
        read(tmp_path, **changes)
    (tmp_path / "sizes.json").write_text("{")
    with pytest.raises(ArtifactError, match="not JSON"):
        read_tables(tmp_path)

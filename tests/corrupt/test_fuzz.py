"""What `make fuzz` rests on: sound files to start from, the same changes each time, a child that says what it saw."""

from __future__ import annotations

from fuzz import __main__ as fuzz
from fuzz.child import changed
from fuzz.readers import formats


def test_every_format_starts_from_a_file_that_is_read(tmp_path):
    for name, kind in formats().items():
        path = tmp_path / ("stages.json" if name == "stage log" else f"x.{kind.suffix}")
        kind.write(path)
        if name != "manifest":  # its photo is not there
            kind.read(path)


def test_changes_are_the_same_each_time():
    data = bytes(range(256))
    found = [changed(data, number, 1) for number in range(50)]
    assert found == [changed(data, number, 1) for number in range(50)]
    assert len(set(found)) > 45 and found != [changed(data, number, 2) for number in range(50)]


def test_a_reader_is_fuzzed_in_a_process_of_its_own(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{fuzz.ROOT / 'toolkit'}:{fuzz.ROOT / 'tests'}")
    found = fuzz.fuzz_reader("recipe", 1, 20)
    assert sum(found.values()) == 20 and set(found) <= {"read", "refused"}

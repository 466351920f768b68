"""What `make fuzz` rests on: sound files to start from, the same changes each time, a child that says what it saw."""

from __future__ import annotations

from collections import Counter

from fuzz import __main__ as fuzz
from fuzz.child import changed
from fuzz.readers import formats


def test_changes_are_the_same_each_time():
    data = bytes(range(256))
    found = [changed(data, number, 1) for number in range(50)]
    assert found == [changed(data, number, 1) for number in range(50)]
    assert len(set(found)) > 45 and found != [changed(data, number, 2) for number in range(50)]


def test_changed_files_of_every_format_are_read_or_refused(monkeypatch):
    """In a process of their own, which a signal would end; it reads each sound file first."""
    monkeypatch.setenv("PYTHONPATH", f"{fuzz.ROOT / 'toolkit'}:{fuzz.ROOT / 'tests'}")
    names, found = list(formats()), Counter()
    for name, outcomes in fuzz.fuzz_readers(names, 1, 60).items():
        assert sum(outcomes.values()) == 60, name
        assert set(outcomes) <= {"read", "refused"}, (name, outcomes)
        found += outcomes
    assert min(found["read"], found["refused"]) > 10 * len(names)

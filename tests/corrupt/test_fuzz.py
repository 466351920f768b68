"""What `make fuzz` rests on: sound files to start from, the same changes each time, a child that says what it saw."""

from __future__ import annotations

from collections import Counter

from fuzz import soak
from fuzz.child import changed
from fuzz.clang import ROOT
from fuzz.outcome import Outcome
from fuzz.python import fuzz_readers
from fuzz.readers import formats
from studies.tables import read_tables


def test_changes_are_the_same_each_time():
    data = bytes(range(256))
    found = [changed(data, number, 1) for number in range(50)]
    assert found == [changed(data, number, 1) for number in range(50)]
    assert len(set(found)) > 45 and found != [changed(data, number, 2) for number in range(50)]


def test_changed_files_of_every_format_are_read_or_refused(monkeypatch):
    """In a process of their own, which a signal would end; it reads each sound file first."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'toolkit'}:{ROOT / 'tests'}")
    names, found = list(formats()), Counter()
    for name, outcomes in fuzz_readers(names, 1, 60).items():
        assert sum(outcomes.values()) == 60, name
        assert set(outcomes) <= {"read", "refused"}, (name, outcomes)
        found += outcomes
    assert min(found["read"], found["refused"]) > 10 * len(names)


def test_a_soak_adds_up_while_the_sources_are_the_same(tmp_path):
    """And the record is a table of docs/measurements.md."""
    source, record, seeds = tmp_path / "reader.c", tmp_path / "fuzz.json", []

    def piece(seed: int) -> Outcome:
        seeds.append(seed)
        return Outcome(1000, 40.0)

    def soaked(minutes: float, outcome=piece) -> bool:
        return soak.soak(record, minutes, {"C: index": soak.Fuzzer(lambda: [source], outcome)})

    source.write_text("one")
    assert soaked(1) and seeds == [1, 2]
    assert soaked(1) and seeds == [1, 2], "it has its minutes"
    assert soaked(2) and seeds == [1, 2, 3]
    assert read_tables(tmp_path)["fuzz"].rows[0][:4] == ("C: index", "2", "3,000", "nothing")
    source.write_text("two")
    assert soaked(1) and seeds == [1, 2, 3, 1, 2]
    assert not soaked(5, lambda _: Outcome(1, 400.0, found=1)), "what is found stays in the record"
    assert not soaked(5) and seeds == [1, 2, 3, 1, 2]


def test_every_fuzzer_has_sources_that_are_there():
    for name, fuzzer in soak.fuzzers().items():
        files = fuzzer.files()
        assert len(files) > 3 and len({soak.sources_key(files), soak.sources_key(files[1:])}) == 2, name

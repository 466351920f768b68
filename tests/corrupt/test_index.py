"""One broken index per rule of FORMAT.md: Python and C name that rule, and a user reads it in one line."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pocketvlad.index as index_package
from pocketvlad.core import native
from pocketvlad.errors import IndexFormatError
from pocketvlad.index import Entry, PlaceIndex, open_index, rules, write_index
from pocketvlad.index.rules import HEADER, RECORD
from pocketvlad.index.types import CIndex, encode_vectors

NAN, INFINITY = float("nan"), float("inf")


class File:
    """A sound file taken apart, to be broken in one place."""

    def __init__(self, data: bytes):
        self.data = bytearray(data)

    @property
    def header(self) -> np.ndarray:
        return np.frombuffer(self.data, HEADER, 1)[0:1]

    def field(self, name: str) -> int:
        return int(self.header[name][0])

    def set(self, **values: object) -> File:
        for name, value in values.items():
            self.header[name] = value
        return self

    def record(self, row: int, **values: object) -> File:
        records = np.frombuffer(self.data, RECORD, self.field("count"), self.field("records"))
        for name, value in values.items():
            records[name][row] = value
        return self

    def scale(self, value: float) -> File:
        np.frombuffer(self.data, "<f4", self.field("count"), self.field("scales"))[1] = value
        return self

    def text(self, row: int, part: str, value: bytes) -> File:
        records = np.frombuffer(self.data, RECORD, self.field("count"), self.field("records"))
        at = self.field("blob") + int(records[part][row])
        assert len(value) == records[f"{part}_bytes"][row]
        self.data[at : at + len(value)] = value
        return self

    def info(self, value: bytes) -> File:
        at, size = self.field("info"), self.field("info_bytes")
        self.data[at : at + size] = value.ljust(size)[:size]
        return self

    def longer_blob(self, more: int) -> File:
        at = self.field("info")
        self.data[at:at] = bytes(more)
        grown = {name: self.field(name) + more for name in ("blob_bytes", "info", "file_bytes")}
        return self.set(**grown)

    def cut(self, size: int) -> File:
        del self.data[size:]
        return self

    def grow(self) -> File:
        self.data += b"x" * 64
        return self


BREAKS: dict[str, Callable[[File], object]] = {
    "01 empty": lambda f: f.cut(0),
    "01 shorter than the header": lambda f: f.cut(135),
    "01 another magic": lambda f: f.set(magic=b"PVIX0001"),
    "02 header of another length": lambda f: f.set(header_bytes=64),
    "02 truncated": lambda f: f.cut(len(f.data) - 1),
    "02 something appended": lambda f: f.grow(),
    "03 unknown vector type": lambda f: f.set(dtype=3),
    "04 no photos": lambda f: f.set(count=0),
    "04 too many photos": lambda f: f.set(count=2**31),
    "04 photos beyond 64 bits of bytes": lambda f: f.set(count=2**64 - 1),
    "05 no dimension": lambda f: f.set(dim=0),
    "05 dimension too large": lambda f: f.set(dim=131073),
    "06 vectors unaligned": lambda f: f.set(vectors=f.field("vectors") + 4),
    "06 vectors behind the end": lambda f: f.set(vectors=2**40),
    "06 vectors overflow": lambda f: f.set(vectors=2**64 - 64),
    "06 more vectors than bytes": lambda f: f.set(count=2**31 - 1, dim=131072),
    "07 scales missing": lambda f: f.set(scales=2**63),
    "07 scales unaligned": lambda f: f.set(scales=f.field("scales") + 4),
    "07 scales of float vectors": lambda f: f.set(dtype=1, dim=1),
    "08 residuals missing": lambda f: f.set(residuals=2**63),
    "08 residuals unaligned": lambda f: f.set(residuals=f.field("residuals") + 4),
    "08 residuals of float vectors": lambda f: f.set(dtype=1, dim=1, scales=0),
    "09 records unaligned": lambda f: f.set(records=f.field("records") + 8),
    "09 records behind the end": lambda f: f.set(records=2**64 - 64),
    "10 blob behind the end": lambda f: f.set(blob=2**64 - 1),
    "10 blob too long": lambda f: f.set(blob_bytes=2**64 - f.field("blob")),
    "11 information behind the end": lambda f: f.set(info=len(f.data)),
    "11 information too long": lambda f: f.set(info_bytes=2**64 - 1),
    "12 vectors over the header": lambda f: f.set(vectors=0),
    "12 scales over the vectors": lambda f: f.set(scales=f.field("vectors")),
    "12 residuals over the scales": lambda f: f.set(residuals=f.field("scales")),
    "12 records over the residuals": lambda f: f.set(records=f.field("residuals")),
    "12 blob over the records": lambda f: f.set(blob=f.field("records")),
    "12 information over the blob": lambda f: f.set(info=f.field("blob")),
    "13 threshold above 1": lambda f: f.set(threshold=1.5),
    "13 threshold infinite": lambda f: f.set(threshold=-INFINITY),
    "14 information without braces": lambda f: f.info(b"[1, 2]"),
    "14 information not UTF-8": lambda f: f.info(
        b'{"a": "\xff\xfe"}'.ljust(f.field("info_bytes") - 1) + b"}"
    ),
    "14 no information": lambda f: f.set(info_bytes=1),
    "15 scale not a number": lambda f: f.scale(NAN),
    "15 scale infinite": lambda f: f.scale(INFINITY),
    "15 scale negative": lambda f: f.scale(-1),
    "16 no name": lambda f: f.record(1, name_bytes=0),
    "16 name too long": lambda f: f.record(0, name_bytes=4097),
    "16 name behind the blob": lambda f: f.record(2, name=2**64 - 1),
    "17 label too long": lambda f: f.record(0, label_bytes=4097),
    "17 label behind the blob": lambda f: f.record(1, label=f.field("blob_bytes")),
    "18 thumbnail behind the blob": lambda f: f.record(1, thumbnail_bytes=2**32 - 1),
    "18 thumbnail larger than a picture": lambda f: f.longer_blob(1 << 25).record(
        1, thumbnail_bytes=(1 << 24) + 1
    ),
    "18 thumbnail overflows": lambda f: f.record(2, thumbnail=2**64 - 1),
    "19 latitude too large": lambda f: f.record(0, latitude=90.5),
    "19 longitude too large": lambda f: f.record(0, longitude=-180.5),
    "19 latitude without longitude": lambda f: f.record(0, longitude=NAN),
    "19 longitude infinite": lambda f: f.record(0, longitude=INFINITY),
    "20 reserved field used": lambda f: f.record(2, reserved=1),
    "21 name not UTF-8": lambda f: f.text(0, "name", b"a\xff.jp"),
    "21 label with a newline": lambda f: f.text(1, "label", b"pl\nce"),
    "21 name with a delete character": lambda f: f.text(1, "name", b"b\x7f.jp"),
    "21 overlong encoding": lambda f: f.text(1, "label", b"pl\xc0\xaf!"),
    "21 surrogate": lambda f: f.text(2, "label", b"\xed\xa0\x80ab"),
    "21 beyond Unicode": lambda f: f.text(2, "label", b"\xf4\x90\x80\x80a"),
    "21 character cut off": lambda f: f.text(2, "label", b"abc\xe2\x82"),
}


@pytest.fixture(scope="session")
def sound(tmp_path_factory) -> bytes:
    stored = encode_vectors(np.eye(3, 8, dtype=np.float32), "int8")
    entries = tuple(Entry(name, "place", 1.0, 2.0, b"\xff\xd8thumb") for name in ("a1.jp", "b1.jp", "c1.jp"))
    path = tmp_path_factory.mktemp("sound") / "sound.pvix"
    write_index(path, PlaceIndex(*stored, entries, bytes(range(32)), 0.5, {"made": "by a test, padded"}))
    return path.read_bytes()


def c_rule(data: bytes) -> int:
    """What the C core says of exactly these bytes."""
    held = np.frombuffer(data, np.uint8).copy()
    return native.core().pv_index_open(
        ctypes.c_void_p(held.ctypes.data), ctypes.c_size_t(held.size), ctypes.byref(CIndex())
    )


def python_rule(data: bytes) -> int:
    return rules.broken_rule(np.frombuffer(data, np.uint8))


def test_the_sound_file_breaks_no_rule(sound):
    assert python_rule(sound) == 0 and c_rule(sound) == 0


@pytest.mark.parametrize("name", BREAKS)
def test_broken_file(sound, tmp_path, name):
    file = File(sound)
    BREAKS[name](file)
    rule = int(name[:2])
    assert python_rule(bytes(file.data)) == rule
    assert c_rule(bytes(file.data)) == rule
    path = tmp_path / f"{name}.pvix"
    path.write_bytes(file.data)
    with pytest.raises(IndexFormatError, match=rf"rule {rule} broken") as caught:
        open_index(path)
    assert str(path) in str(caught.value) and rules.RULES[rule] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_rule_has_a_broken_file():
    assert {int(name[:2]) for name in BREAKS} == set(rules.RULES)


def test_rules_read_the_same_in_the_document_in_python_and_in_c():
    text = (Path(index_package.__file__).parent / "FORMAT.md").read_text()
    listed = dict(re.findall(r"^(\d+)\. (.+?)\.$", text, re.MULTILINE))
    document = {int(rule): line.replace("`", "") for rule, line in listed.items()}
    assert document == {rule: line[0].upper() + line[1:] for rule, line in rules.RULES.items()}
    library = native.core()
    library.pv_index_rule.restype = ctypes.c_char_p
    assert {rule: library.pv_index_rule(rule).decode() for rule in rules.RULES} == {
        rule: f"{rule}: {line}" for rule, line in rules.RULES.items()
    }
    assert library.pv_index_rule(0) == library.pv_index_rule(len(rules.RULES) + 1) == b""


def test_damaged_information_is_one_line(sound, tmp_path):
    file = File(sound)
    file.info(b"{not json".ljust(file.field("info_bytes") - 1) + b"}")
    path = tmp_path / "a.pvix"
    path.write_bytes(file.data)
    with pytest.raises(IndexFormatError, match="holds damaged information"):
        open_index(path)


def test_missing_file(tmp_path):
    with pytest.raises(IndexFormatError, match=r"gone\.pvix does not exist"):
        open_index(tmp_path / "gone.pvix")


changed_bytes = st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=6)


@settings(max_examples=300, deadline=None)
@given(changed_bytes, st.none() | st.integers(0, 700))
def test_python_and_c_agree_on_any_bytes(sound, changes, length):
    data = bytearray(sound)
    for at, value in changes:
        data[at % len(data)] = value
    assert python_rule(bytes(data[:length])) == c_rule(bytes(data[:length]))

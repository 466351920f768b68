"""An index whose file has several parts: added to without being written again, read as one, joined for a phone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from helpers.faults import fault
from pocketvlad import locks
from pocketvlad.errors import ArtifactError, IndexFormatError, RecipeError
from pocketvlad.index import (
    Entry,
    PlaceIndex,
    extend,
    extend_index,
    join_indices,
    open_index,
    rules,
    search_index,
    suggest_threshold,
    write_index,
)
from pocketvlad.index import format as files
from pocketvlad.index.faiss import write_faiss
from pocketvlad.index.types import encode_vectors
from pocketvlad.steps import index as step

DIM, FINGERPRINT = 20, bytes(range(32))


def made(first: int, count: int, dtype: str = "float32") -> PlaceIndex:
    """Photos of places of two, with thumbnails; those of a place are alike."""
    rows = []
    for number in range(first, first + count):
        near = np.random.default_rng(number // 2).standard_normal(DIM)
        rows.append(near + 0.1 * np.random.default_rng(1000 + number).standard_normal(DIM))
    vectors = np.asarray(rows, np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    entries = tuple(
        Entry(f"{n}.jpg", f"Straße {n // 2}", n / 10, 11.5, bytes([n])) for n in range(first, first + count)
    )
    return PlaceIndex(*encode_vectors(vectors, dtype), entries, FINGERPRINT, None, {"from": first})


@pytest.fixture(params=["float32", "float16", "int8"])
def parted(request, tmp_path, monkeypatch) -> tuple[Path, PlaceIndex]:
    """A file of three parts, and the same photos in one."""
    monkeypatch.setattr(extend, "WHOLE_BYTES", 0)
    path = tmp_path / "p.pvix"
    pieces = [made(0, 7, request.param), made(7, 5), made(12, 1)]
    write_index(path, pieces[0])
    for piece in pieces[1:]:
        before = path.read_bytes()
        extend_index(path, piece)
        assert path.read_bytes().startswith(before)
    return path, join_indices(pieces)


def test_parts_are_read_as_one(parted):
    path, whole = parted
    found = open_index(path)
    assert len(found.parts) == 3 and len(found) == 13 and found.info == {"from": 0}
    assert tuple(found.entries) == tuple(whole.entries) and found.entries[11:] == tuple(whole.entries)[11:]
    assert found.entries[8] == whole.entries[8] and found.entries[-1] == whole.entries[12]
    assert (found.names(), found.labels(), found.places()) == (whole.names(), whole.labels(), whole.places())
    assert found.count_places() == 7 and found.threshold == whole.threshold
    np.testing.assert_array_equal(found.descriptors(), whole.descriptors())
    rows = np.array([12, 0, 7, 7, 11])
    for one, other in zip(found.stored_at(rows), whole.stored_at(rows), strict=True):
        np.testing.assert_array_equal(one, other)
    assert found.rows(rows).names() == whole.rows(rows).names()


@pytest.mark.parametrize("candidates", [None, 13])
def test_a_search_finds_what_one_part_would_say(parted, candidates):
    path, whole = parted
    queries = whole.descriptors()[[3, 8, 12]]
    for k in (1, 5, 20):
        wanted = search_index(whole, queries, k, candidates=candidates)
        for threads in (1, 2):
            found = search_index(open_index(path), queries, k, candidates=candidates, threads=threads)
            for one, other in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(one, other)


def test_a_merge_makes_one_part_as_phones_read_it(parted, tmp_path):
    path, whole = parted
    assert step.info(path).parts == 3
    done = step.merge([path], tmp_path / "one.pvix")
    assert (done.photos, done.places, done.added) == (13, 7, 0)
    write_index(tmp_path / "whole.pvix", whole)
    assert (tmp_path / "one.pvix").read_bytes() == (tmp_path / "whole.pvix").read_bytes()
    write_faiss(tmp_path / "parts.faiss", open_index(path))
    write_faiss(tmp_path / "one.faiss", whole)
    assert (tmp_path / "parts.faiss").read_bytes() == (tmp_path / "one.faiss").read_bytes()
    step.merge([path, tmp_path / "one.pvix"], tmp_path / "both.pvix", replace=True)
    assert open_index(tmp_path / "both.pvix").names() == whole.names()


def test_photos_of_any_part_are_known(parted):
    path, _ = parted
    before = path.read_bytes()
    with pytest.raises(IndexFormatError, match=r"1 of these photos are in the index already; found '8\.jpg'"):
        extend_index(path, made(8, 1))
    assert path.read_bytes() == before
    replaced = extend_index(path, made(8, 1), replace_names=True)
    assert len(replaced.parts) == 1 and replaced.names()[-1] == "8.jpg" and len(replaced) == 13


def test_a_small_file_and_one_of_many_parts_become_one_part(tmp_path, monkeypatch):
    path = tmp_path / "p.pvix"
    write_index(path, made(0, 4))
    extend_index(path, made(4, 1))
    assert len(open_index(path).parts) == 1
    monkeypatch.setattr(extend, "WHOLE_BYTES", 0)
    monkeypatch.setattr(extend, "MOST_PARTS", 3)
    counts = [len(extend_index(path, made(5 + number, 1)).parts) for number in range(4)]
    assert counts == [2, 3, 1, 2]


def test_a_large_file_keeps_its_threshold_until_its_photos_have_doubled(tmp_path, monkeypatch):
    monkeypatch.setattr(extend, "WHOLE_BYTES", 0)
    monkeypatch.setattr(extend, "_JUDGED_ALWAYS", 0)
    path = tmp_path / "p.pvix"
    write_index(path, made(0, 9))
    assert open_index(path).threshold is None
    assert extend_index(path, made(9, 3)).threshold is None
    doubled = extend_index(path, made(12, 6))
    assert doubled.threshold == suggest_threshold(join_indices([made(0, 9), made(9, 9)])) is not None


@fault(
    "`index add` to a large index is killed",
    "the index is the old one or the new one; the next addition takes the rest away",
)
def test_a_part_counts_when_it_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(extend, "WHOLE_BYTES", 0)
    path = tmp_path / "p.pvix"
    write_index(path, made(0, 7))
    old, states = path.read_bytes(), []
    write = os.pwrite

    def seen(handle: int, data: bytes, at: int) -> int:
        states.append(path.read_bytes())
        return write(handle, data, at)

    monkeypatch.setattr(files.os, "pwrite", seen)
    extend_index(path, made(7, 2))
    new = path.read_bytes()
    start = len(old) + -len(old) % 64
    ends = range(start + 136, len(new), 97)
    states += [old + bytes(start + 136 - len(old)) + new[start + 136 : end] for end in ends]
    header = start + 136 - len(old)  # bytes up to its end
    states += [old + bytes(count) for count in (0, 1, start - len(old), header - 1, header, header + 14)]
    for state in tuple(states):  # of the file, after a kill
        path.write_bytes(state)
        assert open_index(path).names() == made(0, 7).names()
        extend_index(path, made(7, 2))
        assert path.read_bytes() == new


@pytest.mark.parametrize("behind", [1, 64, 135, 500])
def test_a_merge_leaves_out_an_addition_that_is_not_finished(tmp_path, behind):
    """Phones read one part and nothing behind it."""
    path, one = tmp_path / "p.pvix", tmp_path / "one.pvix"
    write_index(path, made(0, 7))
    whole = path.read_bytes()
    assert files.is_one_part(path)
    with pytest.raises(RecipeError, match="one index alone cannot be joined"):
        step.merge([path], one)
    path.write_bytes(whole + bytes(behind))
    assert not files.is_one_part(path)
    step.merge([path], one)
    assert one.read_bytes() == whole


def test_a_part_that_is_cut_off_or_foreign_is_refused(parted, tmp_path):
    path, _ = parted
    data, (_, (second, _), (third, size)) = path.read_bytes(), files.part_spans(path)
    for cut in (len(data) - 1, third + size // 2, third + 135, third + 9, second + 200):
        path.write_bytes(data[:cut])
        with pytest.raises(IndexFormatError, match=f"rule 2 broken.*{rules.RULES[2]}"):
            open_index(path)
    for at, value in ((second, b"X"), (second + 32, b"\xff"), (second + 8, b"\x01")):
        path.write_bytes(data[:at] + value + data[at + 1 :])
        with pytest.raises(IndexFormatError, match=r"p\.pvix is not a sound place index; found"):
            open_index(path)


@pytest.mark.parametrize("call", ["fsync", "pwrite"])
def test_a_full_disk_leaves_the_index_as_it_was(tmp_path, monkeypatch, call):
    monkeypatch.setattr(extend, "WHOLE_BYTES", 0)
    path = tmp_path / "p.pvix"
    write_index(path, made(0, 7))
    old = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    def half(handle: int, data: bytes, at: int) -> int:
        return write(handle, data[: len(data) // 2], at)

    write = os.pwrite
    monkeypatch.setattr(files.os, call, {"fsync": full, "pwrite": half}[call])
    with pytest.raises(ArtifactError, match="the disk is full"):
        extend_index(path, made(7, 2))
    assert path.read_bytes() == old


def test_more_photos_than_rows_are_refused_before_the_file_is_touched(parted, tmp_path, monkeypatch):
    path, _ = parted
    before, more = path.read_bytes(), made(13, 2)
    write_index(tmp_path / "more.pvix", more)
    monkeypatch.setattr(rules, "MAX_COUNT", 14)
    error = "too many photos for an index; found 15; allowed: 14 or fewer, in all parts"
    with pytest.raises(IndexFormatError, match=error):
        extend_index(path, more)
    with pytest.raises(IndexFormatError, match=error):
        step.merge([path, tmp_path / "more.pvix"], tmp_path / "all.pvix")
    assert path.read_bytes() == before and not (tmp_path / "all.pvix").exists()
    assert len(extend_index(path, made(13, 1))) == 14
    monkeypatch.setattr(rules, "MAX_COUNT", 13)
    with pytest.raises(IndexFormatError, match="found 14; allowed: 13"):
        open_index(path)


def test_an_open_index_stays_what_it_was(parted):
    path, whole = parted
    opened = open_index(path)
    with locks.in_turn(path):
        extend_index(path, made(20, 2))
    assert opened.names() == whole.names() and len(opened.descriptors()) == 13
    assert len(open_index(path)) == 15

"""Each rule of the APK's check, broken once: one line, of what is wrong."""

from __future__ import annotations

import dataclasses
import shutil
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.apks import ONE_PICTURE, change, edited, elf_header, integer, patched, utf16
from pocketvlad.android import axml, dex, signing
from pocketvlad.android.apk import TEMPLATE, build_apk, padding
from pocketvlad.android.check import check_apk
from pocketvlad.android.elf import read_library
from pocketvlad.android.entries import CODE, CONFIG, INDEX, MANIFEST, PROGRAM
from pocketvlad.android.native import build_libraries
from pocketvlad.errors import PackageError
from pocketvlad.index import open_index

LIBRARY = "lib/arm64-v8a/libfbjni.so"
EMPTY = b'{"format": 1, "tolerance": {"cosine": 0.9999}, "pictures": []}'


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return signing.debug_keys(tmp_path_factory.mktemp("keys") / "debug.p12")


@pytest.fixture(scope="module")
def small(tmp_path_factory, keys, package) -> Path:
    """An APK that passes every check, with one small library."""
    out = tmp_path_factory.mktemp("small") / "small.apk"
    library = next(path for path in build_libraries()["arm64-v8a"] if path.name == "libfbjni.so")
    build_apk(
        out,
        program=package.program,
        index=package.index,
        libraries={"arm64-v8a": [library]},
        config={"title": "a", "threshold": None, "fingerprint": open_index(package.index).fingerprint.hex()},
        selftest=ONE_PICTURE,
        keys=keys,
    )
    return out


def named(text: str) -> bytes:
    """A string of a binary XML's pool."""
    return struct.pack("<H", len(text)) + utf16(text)


SELFTEST = "assets/selftest/manifest.json"
BROKEN = [
    (change(INDEX, lambda _: None), "lacks assets/places.pvix"),
    (change(SELFTEST, lambda _: None), "has no self-test; .*package it again"),
    (change(SELFTEST, patched(b'"format": 1', b'"format": 9')), "has no self-test this version understands"),
    (change(SELFTEST, lambda _: EMPTY), "has a self-test without pictures; package it again, with photos"),
    (change(MANIFEST, lambda _: b""), "manifest is damaged"),
    (change(MANIFEST, patched(integer(36), integer(23))), "targets an SDK phones refuse; found 23"),
    (change(MANIFEST, patched(utf16("LAUNCHER"), utf16("LAUNCHEX"))), "no activity to launch"),
    (change(MANIFEST, patched(utf16(".MainActivity"), utf16(".MainActivitx"))), "lacks a class its manifest"),
    (change(MANIFEST, patched(utf16("exported"), utf16("exportxd"))), "does not say whether it is exported"),
    (change(MANIFEST, patched(utf16("extractNative"), utf16("extractXative"))), "asks the phone to extract"),
    (change(CODE, lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:]), "damaged; found a wrong checksum"),
    (change(CODE, patched(b"dex\n038", b"dex\n039")), "API 26 cannot run; found version 39"),
    (change(CODE, lambda data: data[:5000]), "byte code is damaged"),
    (change(LIBRARY, lambda _: b"\x7fELF"), "not an Android library"),
    (change(LIBRARY, patched(b"\xb7\0", b"\x3e\0")), "libfbjni.so is built for x86_64"),
    (change(LIBRARY, elf_header(lambda f: f.__setitem__(7, 4096))), "libfbjni.so would not load .* less than 16 KB"),
    (change(LIBRARY, elf_header(lambda f: f.__setitem__(3, f[3] + 1))), "place in the file cannot be mapped"),
    (change(LIBRARY, elf_header(lambda f: f.__setitem__(1, 7))), "both writable and executable"),
    (change(LIBRARY, patched(b"libfbjni.so\0", b"libfbjnj.so\0")), "found the SONAME libfbjnj.so"),
    (change(PROGRAM, patched(b"sum\0", b"sux\0")), "calls what the runtime lacks; found aten::s"),
    (change(PROGRAM, lambda _: b"nothing"), "the program is damaged"),
    (change(INDEX, lambda data: data[:32] + b"Z" * 32 + data[64:]), "index does not belong to the program"),
    (change(INDEX, lambda _: b""), "index does not belong to the program"),
    (change(CONFIG, lambda _: b"{}"), "settings are of another index; package it again"),
    (change(CONFIG, lambda _: b"["), "not a readable APK"),
    (change(MANIFEST, patched(named("supportsRtl"), named("debuggable") + b"\0\0")), "may be debugged by anyone"),
    (change(MANIFEST, patched(named("supportsRtl"), named("testOnly") + bytes(6))), "is for tests alone"),
    (change(LIBRARY, lambda _: None), "no library for phones"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_a_broken_rule_is_one_line(small, tmp_path, keys, edit, message):
    broken = edited(small, tmp_path / "broken.apk", keys, edit)
    with pytest.raises(PackageError, match=message) as caught:
        check_apk(broken)
    assert "\n" not in str(caught.value)


def test_the_same_files_packed_otherwise_are_refused(small, tmp_path, keys):
    same = edited(small, tmp_path / "same.apk", keys, lambda _, data: data)
    assert check_apk(same).abis == ("arm64-v8a",)
    squeezed = edited(small, tmp_path / "squeezed.apk", keys, lambda _, data: data, store=False)
    with pytest.raises(
        PackageError, match="cannot be mapped; found compressed; allowed: stored at a multiple"
    ):
        check_apk(squeezed)
    shifted = edited(small, tmp_path / "shifted.apk", keys, lambda _, data: data, align=False)
    with pytest.raises(PackageError, match=r"cannot be mapped; found offset \d+"):
        check_apk(shifted)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_extra_entries_are_refused(small, tmp_path):
    other = next(path for path in build_libraries()["x86_64"] if path.name == "libfbjni.so").read_bytes()
    for name, data, message in [
        (CODE, b"", "an entry twice"),
        ("lib/libx.so", b"", "misplaced library; found lib/libx.so"),
        (
            "lib/x86_64/liby.so",
            other,
            "x86_64 has not the libraries of arm64-v8a; found libfbjni.so, liby.so",
        ),
    ]:
        broken = tmp_path / "broken.apk"
        shutil.copy(small, broken)
        with zipfile.ZipFile(broken, "a") as archive:
            start = archive.fp.tell() + 30 + len(name)
            entry = zipfile.ZipInfo(name)
            entry.extra = padding(start, 16384)
            archive.writestr(entry, data)
        with pytest.raises(PackageError, match=message):
            check_apk(broken)


def test_an_encrypted_entry_is_refused(small, tmp_path):
    broken = tmp_path / "broken.apk"
    data = bytearray(small.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    broken.write_bytes(data)
    with pytest.raises(PackageError, match="encrypted entry"):
        check_apk(broken)


def test_any_changed_byte_is_found(small, tmp_path):
    """A few hundred bytes of all parts; test_signing.py goes through the signing block."""
    original = small.read_bytes()
    broken = tmp_path / "broken.apk"
    for at in [
        *range(0, len(original), len(original) // 150),
        *range(original.index(b"PK\1\2"), len(original), 53),
    ]:
        changed = bytearray(original)
        changed[at] ^= 1
        broken.write_bytes(changed)
        with pytest.raises(PackageError) as caught:
            check_apk(broken)
        assert "\n" not in str(caught.value)


def test_files_that_are_no_apk_are_one_line(tmp_path):
    plain = tmp_path / "plain.apk"
    shutil.copy(TEMPLATE, plain)
    with pytest.raises(PackageError, match=r"lacks assets/model\.pte"):
        check_apk(plain)
    plain.write_bytes(b"nothing")
    with pytest.raises(PackageError, match="not a readable APK"):
        check_apk(plain)
    with pytest.raises(PackageError, match="not a readable APK; found .*No such file"):
        check_apk(tmp_path / "none.apk")


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0), byte=st.integers(0, 255), cut=st.integers(0))
def test_damaged_parts_are_refused_or_read_never_a_crash(at, byte, cut):
    with zipfile.ZipFile(TEMPLATE) as template:
        parts = [(axml.read_manifest, template.read(MANIFEST)), (dex.read_dex, template.read(CODE))]
    library = next(path for path in build_libraries()["arm64-v8a"] if path.name == "libfbjni.so")
    for read, data in [*parts, (read_library, library.read_bytes())]:
        changed = bytearray(data)
        changed[at % len(data)] = byte
        for damaged in (bytes(changed), data[: cut % len(data)]):
            try:
                assert dataclasses.is_dataclass(read(damaged))
            except PackageError as error:
                assert "\n" not in str(error)

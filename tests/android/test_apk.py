"""The APK: mappable, accepted by two checkers, and refused in one line when one rule is broken."""

from __future__ import annotations

import dataclasses
import json
import shutil
import struct
import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketvlad.android import apk as apks
from pocketvlad.android import axml, dex, signing
from pocketvlad.android.elf import read_library
from pocketvlad.android.native import build_libraries
from pocketvlad.errors import ArtifactError, PackageError

LIBRARY = "lib/arm64-v8a/libfbjni.so"
ONE_PICTURE = {
    "manifest.json": json.dumps(
        {
            "format": 1,
            "tolerance": {"cosine": 0.9999},
            "pictures": [
                {"file": "a.png", "name": "a", "descriptor": [1.0], "top": [{"row": 0, "cosine": 1.0}]}
            ],
        }
    ).encode()
}
EMPTY = b'{"format": 1, "tolerance": {"cosine": 0.9999}, "pictures": []}'
Edit = Callable[[str, bytes], bytes | None]


def test_the_package_is_accepted_and_says_what_it_is(package):
    report = apks.check_apk(package.apk)
    assert (report.package, report.min_sdk, report.target_sdk) == ("org.pocketvlad.demo", 26, 36)
    assert report.abis == ("arm64-v8a", "x86_64") and report.signed == ("v2", "v3")
    assert report.program_bytes == package.program.stat().st_size
    assert report.index_bytes == package.index.stat().st_size
    assert report.bytes == package.apk.stat().st_size
    assert report.signer == "CN=pocketvlad debug"


@pytest.mark.skipif(not shutil.which("apksigner"), reason="no apksigner: apt-get install apksigner")
def test_apksigner_accepts_it(package):
    command = ["apksigner", "verify", "--verbose", "--min-sdk-version", "26", str(package.apk)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "(APK Signature Scheme v2): true" in result.stdout
    assert "(APK Signature Scheme v3): true" in result.stdout


@pytest.mark.parametrize(
    ("name", "alignment"),
    [
        (apks.PROGRAM, 4096),
        (apks.INDEX, 4096),
        ("lib/arm64-v8a/libpocketvlad.so", 16384),
        ("resources.arsc", 4),
    ],
)
def test_files_lie_in_the_apk_as_they_are_mapped(package, name, alignment):
    entry = apks.stored_entry(package.apk, name, alignment)
    data = package.apk.read_bytes()[entry.offset : entry.offset + entry.length]
    with zipfile.ZipFile(package.apk) as archive:
        assert data == archive.read(name)
    if name == apks.PROGRAM:
        assert data == package.program.read_bytes()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return signing.debug_keys(tmp_path_factory.mktemp("keys") / "debug.p12")


@pytest.fixture(scope="module")
def small(tmp_path_factory, keys) -> Path:
    """An APK that passes every check, with a stand-in of a program and one small library."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "model.pte").write_bytes(b"program" * 1000)
    (folder / "places.pvix").write_bytes(b"index" * 1000)
    library = next(path for path in build_libraries()["arm64-v8a"] if path.name == "libfbjni.so")
    apks.build_apk(
        folder / "small.apk",
        program=folder / "model.pte",
        index=folder / "places.pvix",
        libraries={"arm64-v8a": [library]},
        config={"title": "a", "threshold": None, "fingerprint": ""},
        selftest=ONE_PICTURE,
        keys=keys,
    )
    return folder / "small.apk"


def edited(source: Path, out: Path, keys, edit: Edit, *, align: bool = True, store: bool = True) -> Path:
    """The APK with every entry passed through ``edit`` (None drops it), packed and signed again."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            data = edit(entry.filename, old.read(entry))
            if data is None:
                continue
            copy = zipfile.ZipInfo(entry.filename, entry.date_time)
            if entry.compress_type == zipfile.ZIP_STORED and store:
                start = new.fp.tell() + 30 + len(entry.filename)
                copy.extra = apks._padding(start, apks._alignment(entry.filename)) if align else b""
            else:
                copy.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(copy, data)
    signing.sign_apk(out, keys)
    return out


def change(name: str, edit: Callable[[bytes], bytes | None]) -> Edit:
    return lambda entry, data: edit(data) if entry == name else data


def patched(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def edit(data: bytes) -> bytes:
        assert data.count(old) >= 1
        return data.replace(old, new, 1)

    return edit


def elf_header(edit: Callable[[list[int]], None]) -> Callable[[bytes], bytes]:
    """Edits the fields of the first LOAD segment: type, flags, offset, address, …, align."""

    def change(data: bytes) -> bytes:
        (at,) = struct.unpack_from("<Q", data, 32)
        while struct.unpack_from("<I", data, at)[0] != 1:
            at += 56
        fields = list(struct.unpack_from("<IIQQQQQQ", data, at))
        edit(fields)
        return data[:at] + struct.pack("<IIQQQQQQ", *fields) + data[at + 56 :]

    return change


def utf16(text: str) -> bytes:
    return text.encode("utf-16-le")


def integer(value: int) -> bytes:
    """A decimal attribute value of binary XML."""
    return struct.pack("<HBBI", 8, 0, 0x10, value)


FALSE, TRUE = struct.pack("<HBBI", 8, 0, 0x12, 0), struct.pack("<HBBI", 8, 0, 0x12, 0xFFFFFFFF)
MANIFEST, CODE = "AndroidManifest.xml", "classes.dex"
SELFTEST = "assets/selftest/manifest.json"
BROKEN = [
    (change(apks.INDEX, lambda _: None), "lacks assets/places.pvix"),
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
    (change(LIBRARY, elf_header(lambda f: f.__setitem__(7, 4096))), "cannot be loaded with 16 KB pages"),
    (change(LIBRARY, elf_header(lambda f: f.__setitem__(3, f[3] + 1))), "cannot be loaded with 16 KB pages"),
    (change(LIBRARY, elf_header(lambda f: f.__setitem__(1, 7))), "both writable and executable"),
    (change(LIBRARY, lambda _: None), "no library for phones"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_a_broken_rule_is_one_line(small, tmp_path, keys, edit, message):
    broken = edited(small, tmp_path / "broken.apk", keys, edit)
    with pytest.raises(PackageError, match=message) as caught:
        apks.check_apk(broken)
    assert "\n" not in str(caught.value)


def test_the_same_files_packed_otherwise_are_refused(small, tmp_path, keys):
    same = edited(small, tmp_path / "same.apk", keys, lambda _, data: data)
    assert apks.check_apk(same).abis == ("arm64-v8a",)
    squeezed = edited(small, tmp_path / "squeezed.apk", keys, lambda _, data: data, store=False)
    with pytest.raises(
        PackageError, match="cannot be mapped; found compressed; allowed: stored at a multiple"
    ):
        apks.check_apk(squeezed)
    shifted = edited(small, tmp_path / "shifted.apk", keys, lambda _, data: data, align=False)
    with pytest.raises(PackageError, match=r"cannot be mapped; found offset \d+"):
        apks.check_apk(shifted)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_extra_entries_are_refused(small, tmp_path, keys):
    for name, message in [(CODE, "an entry twice"), ("lib/libx.so", "misplaced library; found lib/libx.so")]:
        broken = tmp_path / "broken.apk"
        shutil.copy(small, broken)
        with zipfile.ZipFile(broken, "a") as archive:
            start = archive.fp.tell() + 30 + len(name)
            entry = zipfile.ZipInfo(name)
            entry.extra = apks._padding(start, 16384)
            archive.writestr(entry, b"")
        with pytest.raises(PackageError, match=message):
            apks.check_apk(broken)


def test_an_encrypted_entry_is_refused(small, tmp_path):
    broken = tmp_path / "broken.apk"
    data = bytearray(small.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    broken.write_bytes(data)
    with pytest.raises(PackageError, match="encrypted entry"):
        apks.check_apk(broken)


def test_any_changed_byte_is_found(small, tmp_path):
    """Every 97th byte and all of the directory; test_signing.py goes through the signing block."""
    original = small.read_bytes()
    broken = tmp_path / "broken.apk"
    for at in sorted({*range(0, len(original), 97), *range(original.index(b"PK\1\2"), len(original), 5)}):
        changed = bytearray(original)
        changed[at] ^= 1
        broken.write_bytes(changed)
        with pytest.raises(PackageError) as caught:
            apks.check_apk(broken)
        assert "\n" not in str(caught.value)


def test_files_that_are_no_apk_are_one_line(tmp_path):
    plain = tmp_path / "plain.apk"
    shutil.copy(apks.TEMPLATE, plain)
    with pytest.raises(PackageError, match=r"lacks assets/model\.pte"):
        apks.check_apk(plain)
    plain.write_bytes(b"nothing")
    with pytest.raises(PackageError, match="not a readable APK"):
        apks.check_apk(plain)
    with pytest.raises(PackageError, match="not a readable APK; found .*No such file"):
        apks.check_apk(tmp_path / "none.apk")


def test_packaging_twice_differs_in_the_signature_alone(package, tmp_path):
    """The entries, their order, dates and padding are decided by their content."""
    again = tmp_path / "again.apk"
    with zipfile.ZipFile(package.apk) as archive:
        config = json.loads(archive.read(apks.CONFIG))
    apks.build_apk(
        again,
        program=package.program,
        index=package.index,
        libraries=build_libraries(),
        config=config,
        selftest=package.selftest,
        keys=signing.debug_keys(tmp_path / "other.p12"),
    )
    end = apks.stored_entry(again, "lib/x86_64/libfbjni.so")
    length = end.offset + end.length
    assert again.read_bytes()[:length] == package.apk.read_bytes()[:length]


def build_small(out: Path, keys, **changes: object) -> apks.ApkReport:
    program, index = out.parent / "model.pte", out.parent / "places.pvix"
    for path in (program, index):
        if not path.exists():
            path.write_bytes(b"x")
    values = {
        "program": program,
        "index": index,
        "libraries": {},
        "config": {},
        "selftest": ONE_PICTURE,
        "keys": keys,
    }
    return apks.build_apk(out, **{**values, **changes})


def test_nothing_is_left_when_packaging_fails(tmp_path, keys):
    out = tmp_path / "a.apk"
    with pytest.raises(PackageError, match="no library for phones"):
        build_small(out, keys)
    with pytest.raises(PackageError, match=r"none\.pte is no file"):
        build_small(out, keys, program=tmp_path / "none.pte")
    out.write_bytes(b"mine")
    with pytest.raises(ArtifactError, match="exists already"):
        build_small(out, keys)
    assert out.read_bytes() == b"mine"
    assert not list(tmp_path.glob(".a.apk*"))


def test_a_package_too_large_for_the_format_is_refused_before_writing(tmp_path, keys):
    huge = tmp_path / "huge.pte"
    with open(huge, "wb") as file:
        file.truncate(2_100_000_000)  # no block of the disk is used
    with pytest.raises(PackageError, match="too large; found 2100 MB; allowed: 2000 MB"):
        build_small(tmp_path / "a.apk", keys, program=huge)


def test_a_large_program_is_never_held_in_memory(tmp_path, keys):
    large = tmp_path / "large.pte"
    with open(large, "wb") as file:
        file.truncate(100_000_000)
    library = next(path for path in build_libraries()["arm64-v8a"] if path.name == "libfbjni.so")
    tracemalloc.start()
    try:
        build_small(tmp_path / "a.apk", keys, program=large, libraries={"arm64-v8a": [library]})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16_000_000


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0), byte=st.integers(0, 255), cut=st.integers(0))
def test_damaged_parts_are_refused_or_read_never_a_crash(at, byte, cut):
    with zipfile.ZipFile(apks.TEMPLATE) as template:
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

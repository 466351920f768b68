"""The APK: mappable, accepted by two checkers, the same twice, and nothing when it fails."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from helpers.apks import ONE_PICTURE
from pocketvlad.android import apk as apks
from pocketvlad.android import entries, signing
from pocketvlad.android.check import ApkReport, check_apk
from pocketvlad.android.native import build_libraries
from pocketvlad.errors import ArtifactError, PackageError
from pocketvlad.index import open_index


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return signing.debug_keys(tmp_path_factory.mktemp("keys") / "debug.p12")


def test_the_package_is_accepted_and_says_what_it_is(package):
    report = check_apk(package.apk)
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
        (entries.PROGRAM, 4096),
        (entries.INDEX, 4096),
        ("lib/arm64-v8a/libpocketvlad.so", 16384),
        ("resources.arsc", 4),
    ],
)
def test_files_lie_in_the_apk_as_they_are_mapped(package, name, alignment):
    entry = entries.stored_entry(package.apk, name, alignment)
    data = package.apk.read_bytes()[entry.offset : entry.offset + entry.length]
    with zipfile.ZipFile(package.apk) as archive:
        assert data == archive.read(name)
    if name == entries.PROGRAM:
        assert data == package.program.read_bytes()


def test_packaging_twice_differs_in_the_signature_alone(package, tmp_path):
    """The entries, their order, dates and padding are decided by their content."""
    again = tmp_path / "again.apk"
    with zipfile.ZipFile(package.apk) as archive:
        config = json.loads(archive.read(entries.CONFIG))
    apks.build_apk(
        again,
        program=package.program,
        index=package.index,
        libraries=build_libraries(),
        config=config,
        selftest=package.selftest,
        keys=signing.debug_keys(tmp_path / "other.p12"),
    )
    assert _entries(again) == _entries(package.apk)


def _entries(apk: Path) -> bytes:
    """All that stands before the signatures."""
    with open(apk, "rb") as file:
        directory, _ = signing.find_directory(file)
        file.seek(directory - 24)
        (size,) = struct.unpack("<Q", file.read(8))
        file.seek(0)
        return file.read(directory - size - 8)


def test_padding_is_for_the_phone_alone_and_small(package):
    """The gaps are filled with small entries, and the directory holds none of them again."""
    with zipfile.ZipFile(package.apk) as archive:
        assert not any(entry.extra for entry in archive.infolist())
    report = check_apk(package.apk)
    assert report.parts["signature, directory, gaps"] < 60_000
    assert sum(report.parts.values()) == report.bytes


def build_small(out: Path, package, keys, **changes: object) -> ApkReport:
    values = {
        "program": package.program,
        "index": package.index,
        "libraries": {},
        "config": {"fingerprint": open_index(package.index).fingerprint.hex()},
        "selftest": ONE_PICTURE,
        "keys": keys,
    }
    return apks.build_apk(out, **{**values, **changes})


def test_nothing_is_left_when_packaging_fails(tmp_path, keys, package):
    out = tmp_path / "a.apk"
    with pytest.raises(PackageError, match="no library for phones"):
        build_small(out, package, keys)
    with pytest.raises(PackageError, match=r"none\.pte is no file"):
        build_small(out, package, keys, program=tmp_path / "none.pte")
    out.write_bytes(b"mine")
    with pytest.raises(ArtifactError, match="exists already"):
        build_small(out, package, keys)
    assert out.read_bytes() == b"mine"
    assert not list(tmp_path.glob(".a.apk*"))


def test_a_package_too_large_for_the_format_is_refused_before_writing(tmp_path, keys, package):
    huge = tmp_path / "huge.pte"
    with open(huge, "wb") as file:
        file.truncate(2_100_000_000)  # no block of the disk is used
    with pytest.raises(PackageError, match="too large; found 2100 MB; allowed: 2000 MB"):
        build_small(tmp_path / "a.apk", package, keys, program=huge)


def test_a_large_program_is_never_held_in_memory(tmp_path, keys, package):
    large = Path(shutil.copy(package.program, tmp_path / "large.pte"))
    with open(large, "r+b") as file:
        file.truncate(100_000_000)
    library = next(path for path in build_libraries()["arm64-v8a"] if path.name == "libfbjni.so")
    tracemalloc.start()
    try:
        build_small(tmp_path / "a.apk", package, keys, program=large, libraries={"arm64-v8a": [library]})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16_000_000

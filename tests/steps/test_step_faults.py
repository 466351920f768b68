"""Commands under a full disk, a read-only target, another run, odd homes and clocks; killed at any moment."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import pocketvlad
from fuzz.native import write_recogniser
from helpers import forked, many_photos
from helpers.faults import fault
from helpers.nobody import as_nobody, readable_by_all, said
from pocketvlad.core import build, cache
from pocketvlad.core.build import core_library, executorch_library
from pocketvlad.index import open_index
from pocketvlad.pipeline.log import StageLog

TOOLKIT = Path(pocketvlad.__file__).parents[1]
OUTS = {"describe": "d.h5", "npz": "d.npz", "index": "p.pvix"}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    many_photos.write_many(folder / "photos", 40, places=1)
    many_photos.write_many(folder / "more", 4, places=1)
    write_recogniser(folder)[0].rename(folder / "m.pte")
    core_library(), executorch_library()
    shutil.copytree(cache.cache_root() / "kernels", folder / "cache/pocketvlad/kernels")
    return folder


def arguments(files: Path, step: str, out: Path, photos: str = "photos") -> list[str]:
    """Of the command that makes ``out``."""
    command = ["index", "build"] if step == "index" else ["describe"]
    return [*command, str(files / "m.pte"), "--photos", f"folder:{files / photos}", "--out", str(out)]


def full(words: list[str], errors: str) -> None:
    """No file may be longer than 10,000 bytes: a full disk, but for the system's number of the error."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    Path(errors).touch()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
    forked.command(words, errors)


@fault("the disk is full", "one line; nothing half written; the next run goes on")
@pytest.mark.parametrize("step", OUTS)
def test_a_full_disk_is_one_line(files, tmp_path, step):
    out = tmp_path / "out" / OUTS[step]
    error = said(full, arguments(files, step, out), tmp_path / "errors")
    assert error.startswith("error cannot write ") and error.count("\n") == 1, error
    assert not out.exists() and not [p for p in out.parent.iterdir() if p.name.endswith(".part")]
    forked.finish(forked.command, arguments(files, step, out))
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@fault("the cache can be neither read nor written", "one line that says how to name another")
def test_an_unusable_cache_is_one_line(files, tmp_path):
    readable_by_all(files, tmp_path)
    (tmp_path / "cache").mkdir(mode=0o700)
    words = arguments(files, "describe", Path(tempfile.gettempdir()) / f"{os.getpid()}.h5")
    error = said(as_nobody, words, tmp_path / "errors", str(tmp_path / "cache"))
    assert str(tmp_path / "cache") in error and "set XDG_CACHE_HOME" in error and error.count("\n") == 1, (
        error
    )


HOLDS = """
import sys
from pathlib import Path
from pocketvlad import locks
with locks.exclusive(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.read()
"""


@fault("two runs make one file", "the second is refused at once")
def test_two_runs_do_not_make_one_file(files, tmp_path):
    out = tmp_path / "d.h5"
    held = tmp_path / f".{out.name}.resume"
    first = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(held)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TOOLKIT)},
    )
    assert first.stdout.readline() == b"ready\n"
    error = said(forked.command, arguments(files, "describe", out), tmp_path / "errors")
    assert error == f"error another process is writing to {held}; wait for it, or name another folder\n"
    first.communicate(b"")
    forked.finish(forked.command, arguments(files, "describe", out))


@fault("two `index add` at once", "both are added; nothing is lost")
def test_two_additions_at_once_lose_nothing(files, tmp_path):
    index = tmp_path / "p.pvix"
    forked.finish(forked.command, arguments(files, "index", index, "more"))
    names = set(open_index(index).names())
    for new in ("a", "b"):
        many_photos.write_many(tmp_path / new, 20, places=1)
        for photo in sorted((tmp_path / new).rglob("*.jpg")):
            names.add(str(photo.rename(photo.with_stem(f"{new}-{photo.stem}")).relative_to(tmp_path / new)))
    add = ["index", "add", str(index), "--program", str(files / "m.pte"), "--photos"]
    both = [forked.start(forked.command, [*add, f"folder:{tmp_path / new}"]) for new in ("a", "b")]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert set(open_index(index).names()) == names and len(open_index(index)) == 44


def removing(words: list[str], errors: str) -> None:
    """Photos go and become something else while the command runs."""
    from pocketvlad.evaluate.journal import Journal

    add, photos = (
        Journal.add,
        sorted(Path(words[words.index("--photos") + 1].removeprefix("folder:")).rglob("*.jpg")),
    )

    def add_and_remove(self, *values):
        add(self, *values)
        if photos[30].exists():
            photos[30].unlink()
            photos[31].write_bytes(photos[31].read_bytes()[:40])

    Journal.add = add_and_remove
    forked.command(words, errors)


@fault("photos go or become unreadable while a command runs", "they are skipped by name")
@pytest.mark.parametrize("step", OUTS)
def test_photos_that_go_meanwhile_are_skipped_by_name(files, tmp_path, step):
    shutil.copytree(files / "photos", tmp_path / "photos")
    shutil.copy(files / "m.pte", tmp_path)
    process = forked.start(
        removing, arguments(tmp_path, step, tmp_path / OUTS[step]), str(tmp_path / "errors")
    )
    process.join()
    assert process.exitcode == 0, (tmp_path / "errors").read_text()
    lines = (tmp_path / "errors").read_text()
    assert (
        lines.count("skipped") == 2 and "000030.jpg does not exist" in lines and "000031.jpg cannot" in lines
    )


@fault("the home folder has spaces and letters of any script", "all works as elsewhere")
def test_a_home_with_spaces(files, tmp_path):
    home = tmp_path / "my höme 家"
    shutil.copytree(cache.cache_root() / "kernels", home / ".cache/pocketvlad/kernels")
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(TOOLKIT)}
    environment.pop("XDG_CACHE_HOME", None)
    shutil.copytree(files / "more", home / "my photos")
    words = [
        "describe",
        str(files / "m.pte"),
        "--photos",
        f"folder:{home / 'my photos'}",
        "--out",
        str(home / "d.h5"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pocketvlad", *words], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and (home / "d.h5").exists(), done.stderr


@fault("the clock is set back", "what was made is kept and found sound: contents count, not times")
def test_files_from_the_future_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_checked", set())
    made = []

    def compile_(command):
        made.append(1)
        Path(command[-1]).write_bytes(b"library")

    monkeypatch.setattr(build, "_run", compile_)
    library, out = build._built("libx", ".so", [], ["cc"]), tmp_path / "model"

    def body() -> dict[str, int]:
        out.write_bytes(b"whole")
        return {"n": 1}

    assert StageLog(tmp_path).run("s", {}, [out], body) == ({"n": 1}, True)
    later = time.time() + 10 * 365 * 86400
    for path in (library, out, tmp_path / "stages.json"):
        os.utime(path, (later, later))
    cache._checked.clear()
    monkeypatch.setattr(time, "time", lambda: 86400.0)
    assert StageLog(tmp_path).run("s", {}, [out], body) == ({"n": 1}, False)
    assert build._built("libx", ".so", [], ["cc"]) == library and made == [1]


FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


def at(clock: str, words: list[str], stop: int = 0) -> None:
    """A command in a process whose clock stands at ``clock``, killed after ``stop`` photos."""
    sources = f"{TOOLKIT}:{Path(many_photos.__file__).parents[1]}"
    environment = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"@{clock}", "PYTHONPATH": sources}
    done = subprocess.run(
        [sys.executable, many_photos.__file__, str(stop), *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == (-signal.SIGKILL if stop else 0), done.stderr[-2000:]


@fault("the clock is set back between a stop and the next run", "the same command goes on, to the same bytes")
@pytest.mark.skipif(FAKETIME is None, reason="no libfaketime: apt-get install libfaketime")
@pytest.mark.parametrize("step", ["describe", "index"])
def test_a_clock_that_is_set_back_changes_nothing(files, tmp_path, step):
    names = [tmp_path / name / OUTS[step] for name in ("now", "back")]
    forked.finish(forked.command, arguments(files, step, names[0]))
    at("2031-05-01 00:00:00", arguments(files, step, names[1]), stop=20)
    kept = list((names[1].parent / f".{OUTS[step]}.resume").iterdir())
    assert len(kept) == 1 and kept[0].stat().st_size > 20 * 32
    at("1999-12-31 23:59:50", arguments(files, step, names[1]))
    assert names[0].read_bytes() == names[1].read_bytes()
    assert [path.name for path in names[1].parent.iterdir()] == [OUTS[step]]

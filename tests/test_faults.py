"""Processes that are killed, stopped or side by side; a full disk; damaged caches and logs; nesting without end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pocketvlad
from helpers.faults import fault
from pocketvlad import artifact, locks, unfinished
from pocketvlad.core import build, cache
from pocketvlad.errors import ArtifactError, RecipeError
from pocketvlad.pipeline.log import StageLog
from pocketvlad.schema import parse_json, read_toml

TOOLKIT = Path(pocketvlad.__file__).parents[1]
DEEP = "[" * 100_000


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process; it has said its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TOOLKIT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finished(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


_WRITES = """
import sys, time
from pathlib import Path
from pocketvlad import artifact, unfinished
with artifact.atomic_path(Path(sys.argv[1])) as out, unfinished.scratch_folder() as scratch:
    out.write_bytes(b"half")
    (scratch / "large").write_bytes(b"half")
    print("ready", flush=True)
    time.sleep(100)
"""


@fault(
    "a process is killed while it writes",
    "nothing stands under the final name; its temporary files go with the next write there, others' stay",
)
def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    out, other = tmp_path / "a [1].bin", tmp_path / "b.bin"
    killed, running = child(_WRITES, out), child(_WRITES, other)
    killed.kill()
    killed.wait()
    assert not out.exists() and len(list(tmp_path.glob(".*.part"))) == 2
    artifact.write_bytes(out, b"whole")
    assert [path.name.split(".")[1] for path in tmp_path.glob(".*.part")] == ["b"]  # at work
    assert len(list((tmp_path / "scratch").iterdir())) == 2
    with unfinished.scratch_folder():
        assert len(list((tmp_path / "scratch").iterdir())) == 2  # the running one's and ours
    running.terminate()
    running.communicate()
    unfinished.remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a [1].bin", "scratch"]


_HOLDS = """
import sys, time
from pathlib import Path
from pocketvlad import locks
with locks.exclusive(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(100)
"""


@fault("two runs write to one folder", "the second is refused at once")
def test_two_runs_do_not_write_to_one_folder(tmp_path):
    folder = tmp_path / "out"
    first = child(_HOLDS, folder)
    with pytest.raises(
        ArtifactError, match=r"another process is writing to .*out; wait for it, or name another"
    ):
        with locks.exclusive(folder):
            pass
    first.kill()
    first.communicate()
    with locks.exclusive(folder):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="file is not a folder"), locks.exclusive(tmp_path / "file"):
        pass


@fault("a run ends while another one begins in the same folder", "they are one after the other there too")
@pytest.mark.parametrize("again", [False, True])
def test_a_folder_that_goes_before_it_is_locked_is_made_again(tmp_path, monkeypatch, again):
    """Who had it takes it away between our opening and locking it, and a third one may make it again."""
    folder, lock = tmp_path / "out", locks.fcntl.flock

    def taken_away(handle: int, kind: int) -> None:
        monkeypatch.setattr(locks.fcntl, "flock", lock)
        folder.rmdir()
        if again:
            folder.mkdir()
        lock(handle, kind)

    monkeypatch.setattr(locks.fcntl, "flock", taken_away)
    with locks.exclusive(folder):
        with pytest.raises(ArtifactError, match="another process"), locks.exclusive(folder):
            pass


def test_a_file_that_goes_before_it_is_locked_is_one_line(tmp_path, monkeypatch):
    path, lock = tmp_path / "p.pvix", locks.fcntl.flock
    path.write_text("")

    def removed(handle: int, kind: int) -> None:
        path.unlink()
        lock(handle, kind)

    monkeypatch.setattr(locks.fcntl, "flock", removed)
    with pytest.raises(ArtifactError, match=r"p\.pvix cannot be opened"), locks.in_turn(path):
        pass


_COUNTS = """
import sys
from pathlib import Path
from pocketvlad import artifact, locks
path = Path(sys.argv[1])
print("ready", flush=True)
for _ in range(20):
    with locks.in_turn(path):
        artifact.write_bytes(path, str(int(path.read_text()) + 1).encode(), force=True)
"""


@fault("two processes add to one index", "one waits for the other; nothing is lost")
def test_a_file_is_changed_in_turn(tmp_path):
    path = tmp_path / "count"
    path.write_text("0")
    for process in [child(_COUNTS, path) for _ in range(3)]:
        assert finished(process) == (0, "")
    assert path.read_text() == "60"
    with pytest.raises(ArtifactError, match="none cannot be opened"), locks.in_turn(tmp_path / "none"):
        pass


_WAITS = """
import sys, time
from pocketvlad import artifact, cli
@cli.app.command()
def wait(out: str) -> None:
    with artifact.atomic_path(out):
        print("ready", flush=True)
        time.sleep(100)
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@fault("Ctrl-C or SIGTERM", "one line that says how to go on; nothing half written")
def test_a_stopped_command_says_how_to_go_on_and_leaves_nothing(tmp_path, number):
    process = child(_WAITS, "wait", tmp_path / "out")
    process.send_signal(number)
    status, errors = finished(process)
    assert (status, errors) == (128 + number, "interrupted; run the same command again to go on\n")
    assert not list(tmp_path.iterdir())


_FULL = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from pocketvlad import artifact
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
print("ready", flush=True)
try:
    artifact.save_tensors(Path(sys.argv[1]), "model", {"a": np.zeros(100_000)}, {})
except artifact.ArtifactError as error:
    print(error, file=sys.stderr)
"""


@fault("the disk is full while a model is written", "one line; nothing half written")
def test_a_safetensors_file_that_does_not_fit_is_one_line(tmp_path):
    """A limit on a file's size reaches the library as a full disk does: as the system's error number."""
    status, errors = finished(child(_FULL, tmp_path / "m.safetensors"))
    assert status == 0 and errors.startswith(f"cannot write {tmp_path / 'm.safetensors'}: ")
    assert errors.count("\n") == 1 and not list(tmp_path.iterdir())


DAMAGES = {
    "half": lambda data: data[: len(data) // 2],
    "zero tail": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "empty": lambda data: b"",
    "another file": lambda data: b"\x7fELF" + data[4:],
}


@pytest.fixture
def caches(monkeypatch, tmp_path):
    """A cache of its own, at a path with spaces; each use looks at it as a new process would."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "my cache"))
    monkeypatch.setattr(cache, "_checked", set())
    return cache._checked


@pytest.mark.parametrize("damage", DAMAGES)
@fault("a compiled kernel library in the cache is damaged", "it is compiled again")
def test_a_damaged_library_of_the_cache_is_built_again(caches, monkeypatch, damage):
    built = []

    def compile_(command):
        built.append(1)
        Path(command[-1]).write_bytes(bytes(range(256)))

    monkeypatch.setattr(build, "_run", compile_)
    library = build._built("libx", ".so", [], ["cc"])
    caches.clear()
    assert build._built("libx", ".so", [], ["cc"]) == library and len(built) == 1
    caches.clear()
    library.write_bytes(DAMAGES[damage](library.read_bytes()))
    assert build._built("libx", ".so", [], ["cc"]) == library and len(built) == 2
    assert library.read_bytes() == bytes(range(256))


@pytest.mark.parametrize("damage", DAMAGES)
@fault("an Android library or the runtime in the cache is damaged or gone", "it is made or fetched again")
def test_a_damaged_folder_of_the_cache_is_made_again(caches, damage):
    made = []

    def make(folder: Path) -> None:
        made.append(1)
        (folder / "below").mkdir()
        (folder / "below/lib.so").write_bytes(bytes(range(256)))

    folder = cache.cached_folder("android", make)
    for change in (lambda file: file.write_bytes(DAMAGES[damage](file.read_bytes())), Path.unlink):
        change(folder / "below/lib.so")
        caches.clear()
        assert cache.cached_folder("android", make) == folder
        assert (folder / "below/lib.so").read_bytes() == bytes(range(256))
    assert len(made) == 3 and [path.name for path in folder.parent.iterdir()] == ["android"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"n": 1', '"n": 7'),
        lambda text: text.replace('"figures"', '"figure"'),
        lambda text: text[: len(text) // 2],
        lambda text: DEEP,
        lambda text: json.dumps({"s": {"key": [], "outputs": 3, "figures": None, "sum": ""}}),
        lambda text: '"a text"',
    ],
)
@fault("`stages.json` of a `run` is damaged", "its stages run again")
def test_a_damaged_stage_log_makes_its_stages_run_again(tmp_path, damage):
    def body():
        return {"n": 1}

    assert StageLog(tmp_path).run("s", {}, [], body) == ({"n": 1}, True)
    log = tmp_path / "stages.json"
    log.write_text(damage(log.read_text()))
    assert StageLog(tmp_path).run("s", {}, [], body) == ({"n": 1}, True)
    assert StageLog(tmp_path).run("s", {}, [], body) == ({"n": 1}, False)


def test_nesting_without_end_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(DEEP)
    (tmp_path / "plan.toml").write_text("a = " + DEEP)
    with pytest.raises(RecipeError, match=r"plan\.toml is not TOML; found tables nested too deeply"):
        read_toml(tmp_path / "plan.toml")
    header = json.dumps({"__metadata__": {"pocketvlad": DEEP}}).encode()
    (tmp_path / "m.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ArtifactError, match=r"not a readable safetensors file; found JSON nested too deeply"):
        artifact.load_info(tmp_path / "m.safetensors")

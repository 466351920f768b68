"""Odd streams, names, targets and limits around a command: one line each, or the file as always."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pocketvlad
from fuzz.native import write_recogniser
from helpers import many_photos
from helpers.faults import fault
from helpers.refusals import refused
from pocketvlad.artifact import require_new
from pocketvlad.cli.remedies import in_a_line
from pocketvlad.errors import ArtifactError, KernelError, RecipeError
from pocketvlad.runtime.runner import ProgramRunner
from pocketvlad.schema import read_toml
from pocketvlad.threads import MOST_THREADS

NAME = "\u8c61 \u00e9"  # of a place


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("surroundings")
    many_photos.write_many(found / "photos", 6, places=3)
    (found / "photos/place-001").rename(found / "photos" / NAME)
    write_recogniser(found)[0].rename(found / "m.pte")
    return found


def shell(folder: Path, line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in which ``$build`` builds an index; the command's stdout is not this process's."""
    given = {
        **os.environ,
        **environment,
        "PYTHONPATH": str(Path(pocketvlad.__file__).parents[1]),
        "pocketvlad": f"{sys.executable} -m pocketvlad",
        "build": f"{sys.executable} -m pocketvlad index build m.pte --photos folder:photos --force --out",
    }
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=given, capture_output=True, text=True, check=False
    )


@fault("a standard stream is closed", "the command does its work; no file is opened in the stream's place")
@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(folder, closed):
    assert shell(folder, "$build wanted.pvix").returncode == 0
    assert shell(folder, f"$build found.pvix {closed}").returncode == 0
    assert (folder / "found.pvix").read_bytes() == (folder / "wanted.pvix").read_bytes()


@fault("what a command prints cannot be written, as on a full disk", "one line; exit status 1")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_stdout_is_one_line(folder):
    for more in ("", "--json"):
        done = shell(folder, f"$build full.pvix {more} > /dev/full")
        assert done.returncode == 1
        assert done.stderr == "error the system refuses; found No space left on device\n"


def test_letters_that_a_stream_cannot_show_become_escapes(folder):
    photo = f"'photos/{NAME}/000001.jpg'"
    line = f"$build p.pvix && $pocketvlad index search p.pvix {photo} --program m.pte --top 1"
    done = shell(folder, line, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert r"\u8c61 \xe9" in done.stdout


@fault("`--out` is a folder, a pipe, a device or too long a name", "one line, before any photo is read")
def test_targets_that_no_file_can_take_are_said_first(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    most = os.pathconf(tmp_path, "PC_NAME_MAX")
    for name, said in (
        ("folder", "is not a file; found a folder; name a file to write"),
        ("pipe", "is not a file; found a device or a pipe"),
        ("file/below", "file is not a folder"),
        ("a" * most, f"its name is too long; found {most} bytes"),
    ):
        with pytest.raises(ArtifactError, match=said):
            require_new(tmp_path / name, force=True)


def test_the_longest_name_that_is_allowed_is_written(folder):
    name = "a" * (os.pathconf(folder, "PC_NAME_MAX") - 32 - len(".pvix")) + ".pvix"
    done = shell(folder, f"$build {name}")
    assert done.returncode == 0 and (folder / name).is_file(), done.stderr


def test_more_threads_than_any_machine_has_are_refused(folder):
    """Each would be started: the system then refuses threads to all of its processes."""
    done = shell(folder, f"$build t.pvix --threads {MOST_THREADS + 1}")
    assert done.returncode == 2 and f"less than or equal to {MOST_THREADS}" in done.stderr
    with pytest.raises(KernelError, match=f"found {MOST_THREADS + 1}; allowed: 1 to {MOST_THREADS}"):
        ProgramRunner(folder / "m.pte", threads=MOST_THREADS + 1)


@fault(
    "a plan is larger than any that people write, as `/dev/zero` is", "one line; it is not read to its end"
)
def test_a_plan_without_end_is_one_line(tmp_path):
    (tmp_path / "p.toml").write_bytes(b"#" * 10_000_001)
    with pytest.raises(RecipeError, match="p.toml is too large; allowed: 10,000,000 bytes"):
        read_toml(tmp_path / "p.toml")
    with pytest.raises(RecipeError, match="/dev/zero is not a file; found a device or a pipe"):
        read_toml(Path("/dev/zero"))


@fault("the memory or the threads that the system allows are used up", "one line")
def test_what_the_system_refuses_is_an_error_of_ours():
    import torch

    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 60, dtype=torch.uint8)
    for error, said in (
        (refused.value, "the memory is not enough; take a smaller model, or fewer or smaller photos"),
        (MemoryError(), "the memory is not enough; take a smaller model, or fewer or smaller photos"),
        (
            RuntimeError("can't start new thread"),
            "the system starts no more threads; end other programs, then run again",
        ),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "x"),
            "the system refuses x; found File name too long",
        ),
    ):
        assert str(in_a_line(error)) == said
    other = RuntimeError("of our own")
    assert in_a_line(other) is other


@fault("no more files may be opened, from the first on", "one line")
def test_too_few_open_files_are_one_line(run, monkeypatch):
    def refuses():
        raise OSError(errno.EMFILE, "Too many open files", "/proc/cpuinfo")

    monkeypatch.setattr("pocketvlad.cli.common_instructions", refuses)
    refused(run("doctor"), "the system refuses /proc/cpuinfo; found Too many open files")


@fault("a pipe or a device is given where a file is read", "one line; nobody waits for what it may give")
def test_pipes_are_no_files(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    package = "package --program m.pte --index p.pvix --out x.apk"
    for command in (
        "index search p.pvix pipe --program m.pte",
        "import pipe --out m",
        "package --check pipe",
        f"{package} --keystore pipe",
        f"{package} --icon pipe",
        f"{package} --photos pipe",
        f"{package} --keystore /dev/zero",
        "fit --backbone squeezenet1_1 --photos photos --weights pipe --out m",
        "compress pipe --out m",
        "run pipe --out o",
    ):
        refused(
            run(*command.split()), "does not exist" if command.startswith("compress") else "is not a file"
        )

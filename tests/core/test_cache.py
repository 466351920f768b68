"""The user's cache: filled once, whole or not at all."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from helpers.faults import fault
from pocketvlad.core import cache
from pocketvlad.errors import ArtifactError, PackageError


def test_cache_survives_a_failure_and_two_makers(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise PackageError("no")

    def make(folder: Path) -> None:
        (folder / "whole").write_text("1")
        if not (tmp_path / "pocketvlad/folders/thing").exists():
            cache.cached_folder("thing", lambda other: (other / "whole").write_text("2"))

    with pytest.raises(PackageError):
        cache.cached_folder("thing", fail)
    assert list((tmp_path / "pocketvlad/folders").iterdir()) == []
    assert (cache.cached_folder("thing", make) / "whole").read_text() == "2"
    assert [path.name for path in (tmp_path / "pocketvlad/folders").iterdir()] == ["thing"]


@pytest.mark.parametrize("named", ["", "here"])
def test_a_cache_is_never_where_a_command_runs(monkeypatch, tmp_path, named):
    """Compiled code would be taken from there."""
    monkeypatch.setenv("XDG_CACHE_HOME", named)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_root().is_relative_to(tmp_path)


def test_no_home_folder_is_one_line(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    with pytest.raises(ArtifactError, match="found no home folder; set XDG_CACHE_HOME"):
        cache.cache_root()


def test_unwritable_cache_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(
        ArtifactError, match=r"cannot fill the cache folder .*; found Not a directory; make room"
    ):
        cache.cached_folder("thing", lambda folder: None)


@fault("a compile of the kernels is killed", "what it left in the cache goes with the next command")
@pytest.mark.parametrize("whole", [True, False])
def test_what_a_killed_maker_left_goes_whatever_it_was_to_become(monkeypatch, tmp_path, whole):
    """Names hold hashes: after a change of the sources the same name does not come again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "_checked", set())
    gone = subprocess.Popen(["true"])
    gone.wait()
    kernels, folders = (tmp_path / "pocketvlad" / name for name in ("kernels", "folders"))
    library = kernels / "libpvcore-new.a"

    def both() -> None:
        cache.cached_file(library, lambda out: out.write_text("new"))
        cache.cached_folder("android-new", lambda folder: None)

    if whole:
        both()
        cache._checked.clear()
    for left in (kernels / f".libpvcore-old.a.{gone.pid}.x_1.part", folders / f".old.{gone.pid}.y.part/lib"):
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_text("half")
    at_work = kernels / f".libpvcore-old.a.{os.getpid()}.z.part"
    at_work.write_text("half")
    both()
    assert {path.name for path in kernels.iterdir()} == {library.name, f"{library.name}.sha256", at_work.name}
    assert [path.name for path in folders.iterdir()] == ["android-new"]

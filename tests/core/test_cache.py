"""The user's cache: filled once, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def test_unwritable_cache_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(
        ArtifactError, match=r"cannot fill the cache folder .*; found Not a directory; make room"
    ):
        cache.cached_folder("thing", lambda folder: None)

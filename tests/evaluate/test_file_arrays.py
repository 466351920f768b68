"""Large arrays in files: the disk gives their room at once or says that it cannot."""

from __future__ import annotations

import errno
import os
import tempfile

import numpy as np
import pytest

from helpers.faults import fault
from pocketvlad.errors import ArtifactError
from pocketvlad.evaluate import files

SHAPE = 3, 100_000


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Arrays of 100 kB and more lie in files; those that are made."""
    opened = []
    plain = tempfile.TemporaryFile

    def kept():
        file = plain(dir=tmp_path)
        opened.append(os.dup(file.fileno()))
        return file

    monkeypatch.setattr(files, "IN_MEMORY", 100_000)
    monkeypatch.setattr(files.tempfile, "TemporaryFile", kept)
    yield opened
    for handle in opened:
        os.close(handle)


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@fault("the disk has no room for the descriptors of many photos", "one line, before the first is put there")
def test_room_that_the_disk_does_not_have_is_one_line(made, monkeypatch):
    """A hole that is written to on a full disk ends the process by SIGBUS."""
    monkeypatch.setattr(files.os, "posix_fallocate", no_room, raising=False)
    with pytest.raises(ArtifactError, match=r"cannot write .*: the disk is full; free some space"):
        files.room(SHAPE, np.float32)


@pytest.mark.parametrize("refusal", [None, errno.ENOTSUP, errno.EINVAL, "missing"])
def test_a_file_has_all_its_room_where_the_system_reserves_none_too(made, monkeypatch, refusal):
    def refuse(*_: object) -> None:
        raise OSError(refusal, os.strerror(refusal))

    if refusal == "missing":
        monkeypatch.delattr(files.os, "posix_fallocate", raising=False)
    elif refusal is not None:
        monkeypatch.setattr(files.os, "posix_fallocate", refuse, raising=False)
    found = files.room(SHAPE, np.float32)
    about = os.fstat(made[0])
    assert found.shape == SHAPE and not found.any() and isinstance(found, np.memmap)
    assert about.st_size == found.nbytes and about.st_blocks * 512 >= found.nbytes
    found[1] = 1
    files.release(found)
    assert found[1].all() and not found[0].any()


def test_few_bytes_stay_in_memory(made):
    assert not isinstance(files.room((10, 10), np.float32), np.memmap) and not made

"""What a command writes: never what it reads, never one file twice."""

from __future__ import annotations

import os

import pytest

from pocketvlad.errors import ArtifactError, PackageError
from pocketvlad.given import require_ordinary
from pocketvlad.outputs import require_outputs


@pytest.fixture
def there(tmp_path):
    path = tmp_path / "model.pte"
    path.write_text("precious")
    return path


def test_an_output_that_is_an_input_is_refused_by_whatever_name(there, tmp_path):
    os.link(there, tmp_path / "linked")
    (tmp_path / "pointer").symlink_to(there)
    for out in (there, tmp_path / "linked", tmp_path / "pointer", tmp_path / "sub/../model.pte"):
        (tmp_path / "sub").mkdir(exist_ok=True)
        with pytest.raises(ArtifactError, match="would be written over what it is made from"):
            require_outputs([None, out], ["auto", None, there], force=True)


def test_an_output_of_its_own_is_written_over_by_force_alone(there, tmp_path):
    require_outputs([tmp_path / "new", there], [tmp_path / "none", tmp_path], force=True)
    with pytest.raises(ArtifactError, match="exists already"):
        require_outputs([there], force=False)


@pytest.mark.parametrize("other", ["x.apk", "./x.apk", "sub/../x.apk"])
def test_two_outputs_of_one_name_are_refused(tmp_path, other):
    with pytest.raises(ArtifactError, match="would be written twice; name a file for each output"):
        require_outputs([tmp_path / "x.apk", f"{tmp_path}/{other}"], force=False)


def test_only_ordinary_files_are_read(there, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    require_ordinary(there, PackageError)
    require_ordinary(tmp_path / "none", PackageError)
    for path, said in (
        (tmp_path / "pipe", "pipe is not a file; found a device or a pipe; name an ordinary file"),
        ("/dev/zero", "found a device or a pipe"),
        (tmp_path, "found a folder"),
        ("a\0b", r"a\\x00b is not a file; found a zero in its name"),
    ):
        with pytest.raises(PackageError, match=said):
            require_ordinary(path, PackageError)

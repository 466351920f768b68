"""Every step killed once at a random moment, and where it may not write.

`make scale SCALE="kills 10 FOLDER"` kills each ten times, and those that take longer too.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from helpers.faults import fault
from helpers.nobody import as_nobody, readable_by_all, said
from pocketvlad.core import cache
from scale.kills import STEPS, kill, make_inputs, write_inputs

KILLS = 1
LONG = ("compress", "compress, searched", "export", "run")
WRITES = [name for name in STEPS if name not in ("index build, more", "describe, NumPy")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("steps that are killed")
    write_inputs(found)
    return found


@fault("a command is killed", "nothing half written stands anywhere; the same command ends at the same bytes")
@fault("`index add` is killed", "the index is the old one or the new one")
@pytest.mark.parametrize("name", [name for name in STEPS if name not in LONG])
def test_a_step_killed_at_a_random_moment_ends_at_the_same_bytes(folder, name):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    kill(name, folder, KILLS, seed)


@fault("the target cannot be written to", "one line, before any photo is read")
@pytest.mark.parametrize("name", WRITES)
def test_a_read_only_target_is_one_line(folder, tmp_path, name):
    step = STEPS[name]
    make_inputs(step, folder)
    target = tmp_path / "read only"
    target.mkdir()
    if step.extends:
        shutil.copy(folder / step.extends, target / step.out)
    if not (folder / "cache").exists():
        shutil.copytree(cache.cache_root() / "kernels", folder / "cache/pocketvlad/kernels")
    target.chmod(0o555)
    readable_by_all(folder, tmp_path)
    before = [path.read_bytes() for path in target.iterdir()]
    error = said(
        as_nobody, step.command(folder, target / step.out), tmp_path / "errors", str(folder / "cache")
    )
    assert "read only" in error and "Permission denied" in error and error.count("\n") == 1, error
    assert [path.read_bytes() for path in target.iterdir()] == before

"""Every step killed once at a random moment; `make scale SCALE="kills 10 FOLDER"` does it ten times, and `run` too."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from helpers.faults import fault
from scale.kills import STEPS, kill, write_inputs

KILLS = 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("steps that are killed")
    write_inputs(found)
    return found


@fault("a command is killed", "nothing half written stands anywhere; the same command ends at the same bytes")
@fault("`index add` is killed", "the index is the old one or the new one")
@pytest.mark.parametrize("name", [name for name in STEPS if name != "run"])
def test_a_step_killed_at_a_random_moment_ends_at_the_same_bytes(folder, name):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    kill(name, folder, KILLS, seed)

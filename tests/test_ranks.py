"""One of several processes is what torchrun says so of; others that cannot be reached are one line."""

from __future__ import annotations

import pytest

from pocketvlad import ranks
from pocketvlad.errors import PocketvladError

TORCHRUN = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("missing", TORCHRUN)
def test_a_scheduler_that_sets_some_of_it_starts_no_job_of_several(monkeypatch, missing):
    for name, value in {**TORCHRUN, "RANK": "1"}.items():
        if name != missing:
            monkeypatch.setenv(name, value)
    assert ranks.rank_and_world() == (0, 1) and ranks.speaks() and ranks.is_first()
    ranks.wait_for_all()


@pytest.mark.parametrize("name, value", [("RANK", "many"), ("WORLD_SIZE", ""), ("MASTER_PORT", "-1")])
def test_what_cannot_be_a_job_is_one_line(monkeypatch, name, value):
    for each, said in {**TORCHRUN, name: value}.items():
        monkeypatch.setenv(each, said)
    with pytest.raises(PocketvladError, match="the other processes of this job cannot be reached"):
        ranks.rank_and_world()

"""The folder of a training: one run at a time, whatever the other one wants; nothing is left where none was begun."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from helpers.faults import fault
from helpers.models import make_model
from helpers.refusals import refused
from pocketvlad.errors import ArtifactError
from pocketvlad.model.network import save_model
from pocketvlad.steps.training import StateFolder

RECIPE = """version = 1
name = "tiny-trained"
[layer]
bits = 1
row_scale = "max"
[train]
steps = 1
tuples = 1
negatives = 1
validation = 0
"""


@pytest.fixture
def words(tmp_path) -> list[str]:
    """Of a command that trains."""
    for place in range(2):
        for view in range(2):
            photo = tmp_path / f"photos/place-{place}/{view}.png"
            photo.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(2 * place + view).integers(0, 256, (64, 64, 3), np.uint8)
            Image.fromarray(noise).save(photo)
    save_model(tmp_path / "m.safetensors", make_model(clusters=2, dim=None), {})
    (tmp_path / "r.toml").write_text(RECIPE)
    given = {"--recipe": "r.toml", "--photos": "photos", "--out": "c.safetensors"}
    return [
        "compress",
        str(tmp_path / "m.safetensors"),
        *(word for option, name in given.items() for word in (option, str(tmp_path / name))),
    ]


@fault(
    "two trainings of one file, the second by force",
    "the second is refused at once; the first one's state stays",
)
def test_a_training_that_runs_is_left_alone(run, words, tmp_path):
    running = StateFolder(tmp_path / "c.safetensors")
    with running.held():
        running.claim({"model": "another"}, afresh=False)
        running.state.write_bytes(b"hours of work")
        error = refused(run(*words, "--force"))
        wanted = f"another process is writing to {running.path}; wait for it, or name another folder"
        assert error == f"error {wanted}"
        assert running.state.read_bytes() == b"hours of work"


def test_a_training_that_is_refused_leaves_no_folder(run, words, tmp_path):
    refused(run(*words, "--device", "tpu"), "tpu")
    assert not (tmp_path / "c.safetensors.training").exists()


def test_a_training_that_ends_badly_keeps_what_it_has(tmp_path):
    folder = StateFolder(tmp_path / "c.safetensors")
    with suppress(ArtifactError), folder.held():
        folder.claim({"model": "m"}, afresh=False)
        folder.state.write_bytes(b"hours of work")
        raise ArtifactError("the disk is full")
    with folder.held():
        folder.claim({"model": "m"}, afresh=False)
        assert folder.state.exists()
        folder.empty()
    assert not folder.path.exists()

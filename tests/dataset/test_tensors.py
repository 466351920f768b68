"""A dataset's photos as a model's inputs."""

import os
from pathlib import Path

import pytest
import torch

from helpers.photos import write_photo
from pocketvlad.compress.train.photos import split_for_training
from pocketvlad.dataset import decoder, open_dataset
from pocketvlad.dataset.tensors import open_tensors
from pocketvlad.model.preprocess import Preprocess


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Six places with three views each, and a corrupt photo."""
    folder = tmp_path_factory.mktemp("photos")
    for place in range(6):
        for view in range(3):
            write_photo(folder / f"place-{place}/{view}.png", (40 * place, 80 * view, 9), (80, 64))
    (folder / "place-0/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    return folder


def test_processes_that_decode_take_no_code_from_where_a_command_runs(photos, tmp_path, monkeypatch):
    """A dataset may hold a file called as one of Python's own modules."""
    for name in ("pickle", "numpy", "struct"):
        (tmp_path / f"{name}.py").write_text("import os\nos.mkdir('ran')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", ".", str(photos)]))
    worker = decoder._Worker(decoder.Wish(Preprocess(64, 64)))
    try:
        answer = worker.decode(open_dataset(str(photos)).photos[1])
    finally:
        worker.end()
    assert answer.tensor.shape == (3, 64, 64) and not (tmp_path / "ran").exists()


def test_photos_are_read_lazily_where_they_do_not_fit(photos):
    dataset = open_dataset(str(photos))
    kept, lazy = (open_tensors(dataset, Preprocess(64, 64), kept_bytes=size) for size in (10**9, 0))
    assert len(kept.dataset.photos) == 18 and "broken.jpg" in kept.skipped[0]
    assert kept.tensor(5) is kept.tensor(5) and lazy.tensor(5) is not lazy.tensor(5)
    assert torch.equal(kept.tensor(5), lazy.tensor(5))
    split = split_for_training(kept, 0.34)
    assert {kept.dataset.photos[i].place for i in split.held_out} == {"place-2", "place-5"}
    assert sorted((*split.training, *split.held_out)) == list(range(18))

"""What a step has done is used again only by what it depends on: network, photos, versions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from helpers import many_photos
from helpers.faults import fault
from helpers.models import make_model, make_photos
from pocketvlad import artifact
from pocketvlad.compress.calibrate.kept import KeptLayers
from pocketvlad.compress.post_training import as_inputs, compress_network
from pocketvlad.compress.recipe import LayerRecipe, Recipe, load_recipe
from pocketvlad.compress.train.photos import TrainingPhotos
from pocketvlad.compress.train.state import run_fingerprint
from pocketvlad.compress.train.trainer import Trainer
from pocketvlad.compress.train_recipe import TrainRecipe
from pocketvlad.dataset import open_dataset
from pocketvlad.dataset.types import Query
from pocketvlad.model.backbones import random_backbone
from pocketvlad.model.network import Network, save_model
from pocketvlad.runtime.describer import open_describer
from pocketvlad.steps.common import reading_of
from pocketvlad.steps.kept import KeptPhotos
from pocketvlad.threads import one_thread


@pytest.fixture
def twins() -> tuple[Network, Network]:
    """The same weights; the second one's backbone ends in its activation."""
    plain = make_model(clusters=2, dim=4)
    active = random_backbone("squeezenet1_1", last_activation=True)
    active.load_state_dict(plain.backbone.state_dict())
    config = replace(plain.config, last_activation=True)
    return plain, Network(config, active, plain.head, plain.whitening).eval()


def kept_in(folder: Path, network: torch.nn.Module) -> set[str]:
    """The folders of layers, when those of the network are kept too."""
    kept = KeptLayers(folder, network, load_recipe("compact-16x"), as_inputs(make_photos(1)))
    made = kept._folder
    assert made is not None
    made.mkdir(exist_ok=True)
    return {path.name for path in folder.iterdir()}


def test_layers_of_a_network_of_another_configuration_are_others(twins, tmp_path):
    plain, active = twins
    assert kept_in(tmp_path, plain) == kept_in(tmp_path, plain) != kept_in(tmp_path, active)
    parts = [torch.nn.Sequential(torch.nn.Linear(4, 4), act) for act in (torch.nn.ReLU(), torch.nn.GELU())]
    parts[1].load_state_dict(parts[0].state_dict())
    assert kept_in(tmp_path, parts[0]) != kept_in(tmp_path, parts[1])


def test_a_training_of_a_network_of_another_configuration_is_another(twins):
    recipe = Recipe(1, "r", layer=LayerRecipe(bits=1, row_scale="max"), train=TrainRecipe(steps=1))
    photos = TrainingPhotos(make_photos(2).__getitem__, 2, (Query(0, frozenset([1])),))
    runs = [
        Trainer(each, compress_network(each, recipe), recipe, photos, torch.device("cpu")) for each in twins
    ]
    assert run_fingerprint(runs[0]) == run_fingerprint(runs[0]) != run_fingerprint(runs[1])


@pytest.fixture
def photos(tmp_path) -> Path:
    many_photos.write_many(tmp_path / "photos", 3)
    return tmp_path / "photos"


@fault("another version is installed between a stop and the next run", "the command begins again")
def test_what_another_version_has_done_of_photos_is_done_again(photos, tmp_path, monkeypatch):
    kept, seen = KeptPhotos(tmp_path, open_dataset(f"folder:{photos}").photos), []

    def work(item: int) -> torch.Tensor:
        seen.append(item)
        return torch.zeros(1)

    @one_thread()
    def looked_at() -> int:
        list(kept(torch.nn.Identity(), "work", range(3), work))
        return len(seen)

    assert (looked_at(), looked_at()) == (3, 3)
    monkeypatch.setattr(artifact, "versions", lambda: {"torch": "0"})
    assert looked_at() == 6


def test_descriptors_of_another_version_are_made_again(tmp_path, monkeypatch):
    save_model(tmp_path / "m.safetensors", make_model(), {})
    describer = open_describer(tmp_path / "m.safetensors")
    before = reading_of(describer, tmp_path / "d.npz", "describe").describes
    assert before == reading_of(describer, tmp_path / "d.npz", "describe").describes
    monkeypatch.setattr(artifact, "versions", lambda: {"torch": "0"})
    assert before != reading_of(describer, tmp_path / "d.npz", "describe").describes
